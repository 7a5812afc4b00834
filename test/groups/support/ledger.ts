// Every message of a test with many channels: its publisher, its time, and its place in the order of its channel.
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';

export type Published = {
	readonly channel: string;
	/** The expected value of `from:`; undefined if the test does not know it. */
	readonly from: string | undefined;
	readonly text: string;
	/** When its publisher began to send it, by the clock of the ledger. */
	readonly begun: number;
	/** When the reference of its channel got it, and as which; undefined before. */
	seen: number | undefined;
	place: number;
	/** When an answer has said that it is published, if it was published by a request. */
	confirmed?: number;
};

export class Ledger {
	readonly #messages = new Map<string, Published>();
	/** The messages of each channel in their order, as its reference got them. */
	readonly #orders = new Map<string, Published[]>();
	#clock = 0;
	#unseen = 0;
	#failure: unknown;

	/** The time: a number that grows with each call. */
	now(): number {
		return ++this.#clock;
	}

	order(channel: string): Published[] {
		const order = this.#orders.get(channel) ?? [];
		if (order.length === 0) this.#orders.set(channel, order);
		return order;
	}

	/** The text of the last message of a channel. */
	last(channel: string): string {
		return this.order(channel).at(-1)?.text ?? '';
	}

	get messages(): number {
		return this.#messages.size;
	}

	/** Notes a message that is published now, and gives its text. Each text is another. */
	publish(channel: string, from: string | undefined, bytes: number): string {
		const text = `${this.#messages.size} `.padEnd(bytes, 'x');
		this.#messages.set(text, { channel, from, text, begun: this.now(), seen: undefined, place: -1 });
		this.#unseen++;
		return text;
	}

	/** To be called when the answer to the request that published a message has come. */
	confirm(channel: string, text: string): void {
		this.find(channel, text).confirmed = this.now();
	}

	/** To be called for each message that the reference of a channel gets. */
	see(channel: string, text: string): void {
		const message = this.find(channel, text);
		assert.equal(message.seen, undefined, `${text.slice(0, 20)} came twice`);
		message.seen = this.now();
		message.place = this.order(channel).push(message) - 1;
		this.#unseen--;
	}

	find(channel: string, text: string): Published {
		const message = this.#messages.get(text);
		assert.equal(message?.channel, channel, text.slice(0, 20));
		return message ?? assert.fail();
	}

	/** Runs something that goes on beside the test, whose failure fails the test. */
	watch(running: Promise<unknown>): void {
		running.catch((failure) => {
			this.#failure ??= failure;
		});
	}

	async until(isTrue: () => boolean): Promise<void> {
		while (!isTrue()) {
			if (this.#failure !== undefined) throw this.#failure;
			await turn();
		}
	}

	/** Waits until the references have everything. */
	allSeen(): Promise<void> {
		return this.until(() => this.#unseen === 0);
	}
}
