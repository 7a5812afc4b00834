// Sends an input over one way, and tells what came: the answers, each read strictly, how the connection ended, and what was published.
import { AssertionError } from 'node:assert/strict';
import { setTimeout as later } from 'node:timers/promises';
import { post } from '../../support/http.js';
import { thisEngine, timeoutSeconds } from '../../support/malformed.js';
import type { Owner } from '../../support/owner.js';
import { subscribe } from '../../support/subscriber.js';
import type { HttpRow, Outcome } from './http-rows.js';
import { readStrictly, type StrictAnswer } from './strict-answer.js';
import type { Way } from './ways.js';
import type { Wire } from './wire.js';

export type Sent = {
	readonly way: Way;
	/** The channel that another subscriber listens on. */
	readonly channel: string;
	readonly pieces: readonly string[];
	readonly row: HttpRow;
	/** Tells how many answers come before the client looks whether the connection is open. */
	readonly expected: Outcome;
};

export type Came = {
	readonly outcome: Outcome;
	/** Without that to the last question. */
	readonly answers: readonly StrictAnswer[];
	readonly published: readonly string[];
	/** X-Subscribers of a POST to the channel: while the client is connected if its connection stays open, otherwise later. */
	readonly subscribers: string | undefined;
	/** Why bytes that came are no answer. */
	readonly flaw: string | undefined;
	/** From the first byte that is sent. */
	readonly seconds: number;
};

// Longer than every time-out of the three ways: it only ends a wait that is hopeless.
const patienceMs = 55_000;
const question = 'OPTIONS /open HTTP/1.1\r\nHost: x\r\n\r\n';

/** The port is that of the server itself. */
export async function exchange(owner: Owner, port: number, sent: Sent): Promise<Came> {
	const { way, channel, row } = sent;
	const witness = await subscribe(owner, `ws://127.0.0.1:${port}${channel}`);
	const wire = await way.open();
	const patience = new AbortController();
	const conversation = new Conversation(wire, sent);
	// Whatever the input publishes comes before this.
	const ask = () => post(port, channel, 'sentinel');
	let sentinel: Awaited<ReturnType<typeof ask>> | undefined;
	try {
		await Promise.race([conversation.hold(), later(patienceMs, undefined, { signal: patience.signal }).catch(() => {})]);
		// While the client is connected, a request that has subscribed is counted.
		if (conversation.isOpen) sentinel = await ask();
	} finally {
		patience.abort();
		await wire.destroy();
	}
	sentinel ??= await ask();
	const published: string[] = [];
	for (let text = await witness.nextText(); text !== 'sentinel'; text = await witness.nextText()) published.push(text);
	await witness.close();
	const { answers, flaw, seconds } = conversation;
	const asServed = answers.filter(({ status }) => status === 200).length === published.length;
	const outcome = `${conversation.outcome()}${asServed || row.publishes === undefined ? '' : `, ${published.length} published`}`;
	return { outcome, answers, published, subscribers: sentinel.headers.get('x-subscribers'), flaw, seconds };
}

/** The requests and answers on one connection. */
class Conversation {
	readonly answers: StrictAnswer[] = [];
	flaw: string | undefined;
	seconds = 0;
	#end = 'hangs';
	readonly #startMs = performance.now();

	constructor(
		readonly wire: Wire,
		readonly sent: Sent,
	) {}

	async hold(): Promise<void> {
		await this.#talk();
		this.seconds = (performance.now() - this.#startMs) / 1_000;
	}

	async #talk(): Promise<void> {
		const { wire, sent } = this;
		const { row, expected } = sent;
		const [first = ''] = expected.split('|');
		const answersBefore = first.match(/\b([1-5]\d\d|bare)\b/g)?.length ?? 0;
		await this.#send();
		if (row.client === 'ends its side') wire.finish();
		if (first.startsWith('left')) {
			await wire.isRead();
			this.#end = 'left';
			return;
		}
		while (this.answers.length < answersBefore || answersBefore === 0) if (!(await this.#hear())) return;
		if (row.client === 'leaves') {
			this.#end = '';
			return;
		}
		if (row.client === undefined) await wire.send(question);
		while (await this.#hear(row.client === undefined));
	}

	async #send(): Promise<void> {
		const { wire, sent } = this;
		const [first = '', ...others] = sent.pieces;
		if (sent.row.waitsFor100) {
			await wire.send(first);
			if (await this.#hear()) await wire.send(...others);
		} else {
			await wire.send(first, ...others);
		}
	}

	/** Takes the next answer. False if there is none any more, or it is that to the question. */
	async #hear(isAsked = false): Promise<boolean> {
		const { wire, sent } = this;
		const methods = sent.row.methods ?? [/^[A-Z]*/.exec(sent.pieces[0] ?? '')?.[0] ?? ''];
		const method = methods[this.answers.filter(({ status }) => status >= 200).length] ?? 'GET';
		let answer: StrictAnswer | undefined;
		try {
			answer = await wire.take((bytes) => readStrictly(bytes, method, false));
			answer ??= readStrictly(wire.untaken, method, true)?.found;
		} catch (error) {
			if (!(error instanceof AssertionError)) throw error;
			this.flaw = error.message;
			this.#end = 'malformed';
			return false;
		}
		if (isAsked && answer?.status === 204) {
			this.#end = 'open';
			return false;
		}
		if (answer !== undefined) this.answers.push(answer);
		if (answer !== undefined && !answer.endsConnection) return true;
		this.#end = 'closed';
		return false;
	}

	/** Whether a last question has been answered. */
	get isOpen(): boolean {
		return this.#end === 'open';
	}

	outcome(): Outcome {
		const statuses = this.answers.map(({ status }) => (status === 0 ? 'bare' : String(status)));
		// Far from either limit lies the half of the time-out.
		const hasTimedOut = this.seconds > timeoutSeconds[thisEngine] / 2;
		if (statuses.length === 0 && this.#end === 'closed' && hasTimedOut) return 'timed out';
		return [...statuses, this.#end].join(' ').trim();
	}
}
