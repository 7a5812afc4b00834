// Two servers that share a relay, each with a subscriber of /room: asserts that they serve, or that they refuse everything, and counts it.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { becomes } from '../../../relay/support/becomes.js';
import { readiness, startSharing } from '../../../relay/support/sharing.js';
import { answerTo, askedDoors } from '../../../support/doors.js';
import { post } from '../../../support/http.js';
import type { TestServer } from '../../../support/server.js';
import { type Subscriber, subscribe } from '../../../support/subscriber.js';

const messagesPerCheck = 20;
const missed = { code: 1012, reason: 'the relay was lost, and messages may be missed; connect again' };

class SharedRoom {
	readonly #t: TestContext;
	readonly nodes: readonly TestServer[];
	#subscribers: Subscriber[] = [];
	messages = 0;
	#closed = 0;
	#refused = 0;
	#whys = new Set<string>();

	constructor(t: TestContext, nodes: readonly TestServer[]) {
		this.#t = t;
		this.nodes = nodes;
	}

	/** Resolves when the relay serves all, and every message of both has reached both in one order. */
	async serves(): Promise<void> {
		for (const node of this.nodes) await becomes(async () => (await readiness(node))[0] === 200);
		if (this.#subscribers.length === 0)
			this.#subscribers = await Promise.all(this.nodes.map((node) => subscribe(this.#t, node.ws('/room'))));
		for (let i = 0; i < messagesPerCheck; i++) {
			const text = String(this.messages++);
			const [node, subscriber] = [this.nodes[i % 2], this.#subscribers[i % 2]] as [TestServer, Subscriber];
			if (i % 4 < 2) assert.equal((await post(node.port, '/room', text)).status, 200);
			else subscriber.send(text);
			for (const other of this.#subscribers) assert.equal(await other.nextText(), text);
		}
	}

	/** Resolves when the subscribers are closed for a gap, and everything is refused for that reason. */
	async isLost(why: RegExp): Promise<void> {
		for (const subscriber of this.#subscribers) {
			assert.deepEqual(await subscriber.textsUntilClosed(1012), []);
			assert.deepEqual(await subscriber.closed, missed);
			this.#closed++;
		}
		this.#subscribers = [];
		for (const node of this.nodes) await this.#isAway(node, why);
	}

	/** In words. */
	get seen(): string {
		const whys = [...this.#whys].map((why) => `"${why}"`).join(', ');
		return `${this.messages} messages reached the subscribers of both nodes. ${this.#closed} subscribers closed with 1012, ${this.#refused} requests refused with 503: ${whys}.`;
	}

	async #isAway(node: TestServer, why: RegExp): Promise<void> {
		let seen = '';
		await becomes(async () => {
			const [status, text] = await readiness(node);
			seen = text;
			return status === 503 && why.test(text);
		});
		for (const door of askedDoors) {
			const { status, headers } = await answerTo(node.port, door);
			assert.deepEqual([status, headers.get('retry-after')], [503, '5'], door);
			this.#refused++;
		}
		// Without the addresses, which differ each time.
		this.#whys.add((why.exec(seen)?.[0] ?? '').trim());
	}
}

export async function startSharedRoom(t: TestContext, redis: { readonly url: string }, ...flags: string[]): Promise<SharedRoom> {
	const nodes = await startSharing(t, redis, 2, '--relay-timeout', '1s', ...flags);
	return new SharedRoom(t, nodes);
}
