// Run by gap.test.ts in a network of its own, with the scheme and a number of deliveries: random readers of random messages, each round
// with another backlog. All subscribers of a channel are there before its first message, so that each sees the beginning of one order.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type Random, seededRandom } from '../../support/random.js';
import { type GapServer, startGapServer } from './gap-server.js';
import { RandomReader } from './random-reader.js';

const wanted = Number(process.env.DELIVERIES ?? 20_000);
// Without readers that are too slow, a run would show nothing. By chance, the first rounds may have none.
const cutWanted = wanted / 20_000;
const channelCount = 4;
const readersPerChannel = 5;
const burstsPerRound = 24;
const messagesPerBurstMax = 200;
const restsPerBurst = 8;
const restMsMax = 300;
const backlogBytesMin = 1_024;
const backlogBytesMax = 4_194_304;
const messageBytesMin = 32;
const messageBytesMax = 65_535;
// What the system holds for a reader, in each direction.
const heldBytes = 524_288;
const end = 'end';

const counts = { deliveries: 0, readAll: 0, cut: 0, floods: 0 };

/** The text of a publisher's message number `i`. */
function textOf(publisher: string, i: number, bytes: number): string {
	return `${publisher} ${i} ${bytes} `.padEnd(bytes, 'x');
}

/** The order of a channel's messages, as the subscriber saw it that has read the most. */
class Order {
	readonly #heads: string[] = [];
	readonly #next = new Map<string, number>();

	/** Checks the message that a subscriber received as its number `place`. */
	check(place: number, text: string): void {
		const [publisher = '', i, bytes] = text.split(' ', 3);
		const head = `${publisher} ${i}`;
		if (place < this.#heads.length) {
			assert.equal(head, this.#heads[place], `message ${place} of a subscriber`);
		} else {
			const next = this.#next.get(publisher) ?? 0;
			if (text !== end) assert.equal(head, `${publisher} ${next}`, `message ${place} of the first subscriber that has it`);
			this.#next.set(publisher, next + 1);
			this.#heads.push(head);
		}
		if (text !== end) assert.equal(text.length, Number(bytes));
	}
}

class TestChannel {
	readonly readers: RandomReader[];
	/** Until all that is to be posted is. */
	isPosted: Promise<void> = Promise.resolve();
	readonly #path: string;
	readonly #server: GapServer;
	readonly #random: Random;
	readonly #order = new Order();
	#posted = 0;

	constructor(t: TestContext, i: number, server: GapServer, random: Random, onFault: (fault: unknown) => void) {
		this.#path = `/channel-${i}`;
		this.#server = server;
		this.#random = random;
		this.readers = Array.from({ length: readersPerChannel }, () => this.#newReader(onFault));
		t.after(() => {
			for (const reader of this.readers) reader.end();
		});
	}

	/** Publishes messages of that length, by POST or by one of the readers. */
	publish(count: number, bytes: number): void {
		const place = this.#random.below(2 * readersPerChannel);
		const reader = this.readers[place];
		const first = reader?.published ?? this.#posted;
		const name = reader === undefined ? 'post' : String(place);
		const texts = Array.from({ length: count }, (_, i) => textOf(name, first + i, bytes));
		if (reader === undefined) {
			this.#posted += count;
			this.#post(texts);
		} else {
			reader.publish(texts);
		}
	}

	/** Publishes the last message. */
	end(): Promise<void> {
		return this.#post([end]);
	}

	#post(texts: readonly string[]): Promise<void> {
		this.isPosted = this.isPosted.then(() => this.#server.post(this.#path, texts));
		return this.isPosted;
	}

	#newReader(onFault: (fault: unknown) => void): RandomReader {
		let place = 0;
		let hasEnd = false;
		const reader = new RandomReader(this.#server.url(this.#path), this.#random, (text) => {
			if (hasEnd) return;
			try {
				this.#order.check(place++, text);
			} catch (fault) {
				onFault(fault);
			}
			counts.deliveries++;
			if (text !== end) return;
			hasEnd = true;
			reader.end();
		});
		void reader.closed.then((code) => {
			if (hasEnd) counts.readAll++;
			else if (code === 1006) counts.cut++;
			else if (code === 1008) counts.floods++;
			else onFault(new Error(`closed with ${code}`));
		});
		return reader;
	}
}

/** A whole number from `min` to `max`, each size as likely as its double. */
function logarithmic(random: Random, min: number, max: number): number {
	return Math.min(max, Math.floor(min * (max / min) ** (random.below(1_001) / 1_000)));
}

function pick<T>(random: Random, items: readonly T[]): T {
	return items[random.below(items.length)] as T;
}

test('random readers', async (t) => {
	// Else a reader on its way has megabytes in the system, and is never behind.
	execFileSync('sysctl', ['--quiet', '--write', 'net.ipv4.tcp_rmem=4096 8192 65536', 'net.ipv4.tcp_wmem=4096 16384 65536']);
	const random = seededRandom(t);
	for (let round = 0; counts.deliveries < wanted || counts.cut < cutWanted; round++)
		await t.test(`round ${round}`, (t) => playRound(t, random, round));
	t.diagnostic(`counts: ${JSON.stringify(counts)}`);
});

async function playRound(t: TestContext, random: Random, round: number): Promise<void> {
	const backlogBytes = round === 0 ? backlogBytesMin : logarithmic(random, backlogBytesMin, backlogBytesMax);
	const longest = Math.min(backlogBytes, messageBytesMax);
	t.diagnostic(`--max-backlog ${backlogBytes} --max-message ${longest}`);
	const server = await startGapServer(t, backlogBytes, longest);
	await new Promise<void>((resolve, reject) => {
		const channels = Array.from({ length: channelCount }, (_, i) => new TestChannel(t, i, server, random, reject));
		play(random, channels, backlogBytes, longest).then(resolve, reject);
	});
}

async function play(random: Random, channels: readonly TestChannel[], backlogBytes: number, longest: number): Promise<void> {
	const readers = channels.flatMap((channel) => channel.readers);
	await Promise.all(readers.map((reader) => reader.opened()));
	const allClosed = Promise.all(readers.map(({ closed }) => closed));
	void chatterUntil(allClosed, random, readers);
	for (let burst = 0; burst < burstsPerRound; burst++) {
		for (let i = 0; i < restsPerBurst; i++) pick(random, readers).rest(logarithmic(random, 1, restMsMax));
		const channel = pick(random, channels);
		const bytes = logarithmic(random, messageBytesMin, longest);
		const fit = Math.ceil((2 * backlogBytes + heldBytes) / bytes);
		channel.publish(1 + random.below(Math.min(messagesPerBurstMax, fit)), bytes);
		if (random.below(3) === 0) await channel.isPosted;
		else await setImmediate();
	}
	await Promise.all(channels.map((channel) => channel.end()));
	await allClosed;
}

async function chatterUntil(ended: Promise<unknown>, random: Random, readers: readonly RandomReader[]): Promise<void> {
	let isEnded = false;
	void ended.then(() => {
		isEnded = true;
	});
	// A third of them never stop: the engine takes long to close a connection that brings something at each look.
	const talkers = readers.filter(() => random.below(3) === 0);
	while (!isEnded) {
		for (const talker of talkers) talker.chatter();
		pick(random, readers).chatter();
		await setImmediate();
	}
}
