// Clients of other channels than those that a fault is about. They talk from before the fault until after it, and must miss nothing.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openStream } from '../../../support/event-stream.js';
import { type Subscriber, subscribe } from '../../../support/subscriber.js';

const channels = 3;
// Without a rest, they would take the core that the fault needs.
const restMs = 2;

export class Bystanders {
	/** Messages that every subscriber of their channel has got, in order. */
	messages = 0;
	deliveries = 0;
	#clients = 0;
	#isStopping = false;
	readonly #over: Promise<void>[] = [];

	/** Sends a message to these subscribers, the first of which is the publisher, whenever all of them have got the one before. */
	begin(publisher: Subscriber, readers: readonly Reader[]): void {
		this.#clients += readers.length;
		const over = this.#talk(publisher, readers);
		// `stop` gives the failure.
		over.catch(() => {});
		this.#over.push(over);
	}

	async #talk(publisher: Subscriber, readers: readonly Reader[]): Promise<void> {
		for (let i = 0; !this.#isStopping; i++) {
			publisher.send(String(i));
			for (const text of await Promise.all(readers.map((reader) => reader.texts(1)))) assert.deepEqual(text, [String(i)]);
			this.messages++;
			this.deliveries += readers.length;
			await setTimeout(restMs);
		}
	}

	/** Waits until so many more messages have arrived. */
	async goOn(messages: number): Promise<void> {
		const until = this.messages + messages;
		while (this.messages < until) await Promise.race([setTimeout(restMs), ...this.#over]);
	}

	/** Ends their talk. Rejects if one of them has missed a message, or was closed. Gives what they got, for the row. */
	async stop(): Promise<string> {
		await this.goOn(10);
		this.#isStopping = true;
		await Promise.all(this.#over);
		return `${this.deliveries} deliveries to ${this.#clients} bystanders, none missing`;
	}
}

type Reader = { texts(count: number): Promise<string[]> };
type Target = { readonly port: number } | { readonly socketPath: string };

/** Opens them, on a port or a UNIX socket: on each of three channels two websockets and an event stream. */
export async function startBystanders(t: TestContext, target: Target): Promise<Bystanders> {
	const origin = 'port' in target ? `ws://127.0.0.1:${target.port}` : `ws+unix:${target.socketPath}:`;
	const bystanders = new Bystanders();
	for (let i = 0; i < channels; i++) {
		const path = `/bystander/${i}`;
		const publisher = await subscribe(t, `${origin}${path}`);
		bystanders.begin(publisher, [publisher, await subscribe(t, `${origin}${path}`), await openStream(t, target, path)]);
	}
	return bystanders;
}
