// Channels with one subscriber each, of which a test knows where they are.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Subscriber } from '../../support/subscriber.js';
import { HttpsClient, subscribeOver } from './clients.js';
import type { Node } from './nodes.js';

export class Rooms {
	readonly names = Array.from({ length: 60 }, (_, i) => `/room/${i}`);
	readonly #subscribers = new Map<string, Subscriber>();

	constructor(
		readonly t: TestContext,
		readonly port: number,
		readonly nodes: readonly Node[],
	) {}

	/** Once, without a second try. */
	async subscribe(names: readonly string[]): Promise<void> {
		for (const name of names) this.#subscribers.set(name, await subscribeOver(this.t, this.port, name));
	}

	/** Each gets a message that is published now, over the connection that it has. */
	async hear(names: readonly string[], text: string): Promise<void> {
		const client = this.#newClient();
		for (const name of names) {
			assert.equal(await client.publish(name, text), 1, name);
			assert.equal(await this.#subscribers.get(name)?.nextText(), text, name);
		}
	}

	/** Publishes where nobody hears it. */
	async missed(names: readonly string[]): Promise<void> {
		const client = this.#newClient();
		for (const name of names) assert.equal(await client.publish(name, 'missed'), 0, name);
	}

	/** Resolves when their connections have ended: with 1012 if the node has sent them away, with 1006 if they were cut. */
	async closed(names: readonly string[], code: 1006 | 1012): Promise<void> {
		for (const name of names) assert.equal((await this.#subscribers.get(name)?.closed)?.code, code, name);
	}

	/** The names of each node, in its order. */
	async placement(): Promise<(readonly string[])[]> {
		return Promise.all(this.nodes.map(async (node) => [...(await node.channels()).keys()].sort()));
	}

	// With each reload nginx closes the connections that are idle, perhaps just when they are used.
	#newClient(): HttpsClient {
		return new HttpsClient(this.t, this.port);
	}
}
