// A connection with many channels, which notes what it gets on each of them while it is there.
import assert from 'node:assert/strict';
import type { GroupClient, GroupFrame } from '../../support/groups.js';
import type { Ledger, Piece } from './ledger.js';

// The allowance of the server, for one second.
const changesMax = 9;

export class GroupMember {
	readonly #client: GroupClient;
	readonly #ledger: Ledger;
	readonly #who: string;
	readonly #pieces = new Map<string, Piece>();
	#changes = 0;
	/** Whether it has been told what it asked for. */
	isAnswered = true;

	/** `channel` is the one that the client is subscribed to. */
	constructor(client: GroupClient, channel: string, who: string, ledger: Ledger) {
		this.#client = client;
		this.#ledger = ledger;
		this.#who = who;
		this.#join(channel);
		this.#read().catch((error) => ledger.fail(error));
	}

	/** The channels where it is and stays. */
	get channels(): string[] {
		return this.isAnswered ? [...this.#pieces.keys()] : [];
	}

	get pieces(): Iterable<Piece> {
		return this.#pieces.values();
	}

	/** Joins a channel or leaves it, unless it waits for an answer, or has changed enough. */
	change(channel: string): void {
		const isThere = this.#pieces.has(channel);
		if (!this.isAnswered || this.#changes++ >= changesMax) return;
		this.isAnswered = false;
		this.#client.send(`${isThere ? 'remove' : 'add'}: ${channel}`);
	}

	publish(channel: string, bytes: number): void {
		this.#client.publish(channel, `${this.#ledger.publish(channel, this.#who)} `.padEnd(bytes, 'x'));
	}

	#join(channel: string): void {
		this.#pieces.set(channel, this.#ledger.open(`${this.#who} on ${channel}`, channel, true));
	}

	async #read(): Promise<never> {
		for (;;) this.#take(await this.#client.next());
	}

	#take({ head, body }: GroupFrame): void {
		const channel = head.get('channel');
		if (channel !== undefined) {
			const piece = this.#pieces.get(channel) ?? assert.fail(`${this.#who} got a message of ${channel}, where it is not`);
			this.#ledger.take(piece, Number.parseInt(body, 10));
			return;
		}
		const [joined, left] = ['joined', 'left'].map((name) => head.get(name));
		assert.ok(joined !== undefined && left !== undefined, JSON.stringify([...head]));
		for (const name of joined.split(' ').filter(Boolean)) this.#join(name);
		for (const name of left.split(' ').filter(Boolean)) {
			this.#ledger.close(this.#pieces.get(name) ?? assert.fail());
			this.#pieces.delete(name);
		}
		this.isAnswered = true;
		this.#ledger.changed();
	}
}
