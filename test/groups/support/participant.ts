// A connection with many channels, a model of its set, and the messages of each of its stays on a channel.
import assert from 'node:assert/strict';
import type { GroupClient, GroupFrame } from '../../support/groups.js';
import type { Ledger, Published } from './ledger.js';

/** A connection on a channel, from `joined:` to `left:`. Times are of the ledger. */
type Stay = {
	readonly channel: string;
	/** When the connection asked to join, and when it read that it had joined. */
	readonly askedToJoin: number;
	readonly joined: number;
	/** When it asked to leave; not before its end if it stayed. */
	askedToLeave: number;
	readonly got: Published[];
};

/** A change that has been sent. */
type Asked = { readonly set: ReadonlySet<string>; readonly before: ReadonlySet<string>; readonly sent: number };

export type Command = 'subscribe' | 'add' | 'remove';

// The allowance of the server.
const [changesMax, changesMs] = [10, 1_000];

export class Participant {
	readonly #client: GroupClient;
	readonly #ledger: Ledger;
	readonly #from: string;
	readonly #asked: Asked[] = [];
	/** When the latest answers came. */
	readonly #answeredMs: number[] = [];
	readonly #here = new Map<string, Stay>();
	readonly #stays: Stay[] = [];
	/** Its set, when all changes have been answered. */
	#set: ReadonlySet<string>;
	messages = 0;

	/** `begun` is when the client began to connect. */
	constructor(client: GroupClient, channel: string, number: number, begun: number, ledger: Ledger) {
		this.#client = client;
		this.#ledger = ledger;
		this.#from = String(number);
		this.#set = new Set([channel]);
		this.#join(channel, begun);
		ledger.watch(this.#read());
	}

	get set(): ReadonlySet<string> {
		return this.#set;
	}

	get isAnswered(): boolean {
		return this.#asked.length === 0;
	}

	/** Whether the server must take a change now: of ten changes, the first must be a second old. */
	mayChange(): boolean {
		const sent = this.#answeredMs.length + this.#asked.length;
		if (sent < changesMax) return true;
		const earlier = this.#answeredMs[sent - changesMax];
		return earlier !== undefined && performance.now() - earlier >= changesMs;
	}

	/** Whether it is on a channel now and stays there, by all that it has asked for. */
	staysOn(channel: string): boolean {
		return this.#here.has(channel) && this.#asked.every(({ set }) => set.has(channel));
	}

	change(command: Command, channels: readonly string[], written = channels): void {
		const before = this.#set;
		const sent = this.#ledger.now();
		if (command === 'subscribe') this.#set = new Set(channels);
		else if (command === 'add') this.#set = new Set([...before, ...channels]);
		else this.#set = new Set([...before].filter((channel) => !channels.includes(channel)));
		this.#asked.push({ set: this.#set, before, sent });
		this.#client.send([`${command}:`, ...written].join(' '));
	}

	publish(channel: string, bytes: number): void {
		this.#client.publish(channel, this.#ledger.publish(channel, this.#from, bytes));
	}

	/** Whether that is the last message that it got on a channel where it is. */
	got(channel: string, text: string): boolean {
		return this.#here.get(channel)?.got.at(-1)?.text === text;
	}

	async #read(): Promise<never> {
		for (;;) this.#take(await this.#client.next());
	}

	#take({ head, body }: GroupFrame): void {
		const channel = head.get('channel');
		if (channel === undefined) {
			this.#answered(head);
			return;
		}
		const message = this.#ledger.find(channel, body);
		assert.equal(head.get('from'), message.from ?? head.get('from'));
		const stay = this.#here.get(channel) ?? assert.fail(`a message of ${channel}, where the connection is not`);
		stay.got.push(message);
		this.messages++;
	}

	#answered(head: ReadonlyMap<string, string>): void {
		const { set, before, sent } = this.#asked.shift() ?? assert.fail(`an answer to nothing: ${JSON.stringify([...head])}`);
		const joined = [...set].filter((channel) => !before.has(channel));
		const left = [...before].filter((channel) => !set.has(channel));
		assert.deepEqual([...head.keys()], ['subscribed', 'joined', 'left'], JSON.stringify([...head]));
		for (const [field, channels] of Object.entries({ subscribed: [...set], joined, left })) {
			const paths = (head.get(field) ?? '').split(' ').filter((path) => path !== '');
			assert.deepEqual(paths.sort(), channels.sort(), field);
		}
		this.#answeredMs.push(performance.now());
		for (const channel of left) {
			const stay = this.#here.get(channel) ?? assert.fail();
			stay.askedToLeave = sent;
			this.#here.delete(channel);
		}
		for (const channel of joined) this.#join(channel, sent);
	}

	#join(channel: string, askedToJoin: number): void {
		const joined = this.#ledger.now();
		const stay = { channel, askedToJoin, joined, askedToLeave: Number.POSITIVE_INFINITY, got: [] };
		this.#here.set(channel, stay);
		this.#stays.push(stay);
	}

	/** Asserts that each stay on a channel got one piece of the order of that channel: all messages that were published meanwhile. */
	check(): void {
		for (const { channel, askedToJoin, joined, askedToLeave, got } of this.#stays) {
			const order = this.#ledger.order(channel);
			const [first = 0] = got.map(({ place }) => place);
			const piece = order.slice(first, first + got.length);
			assert.ok(got.length === piece.length && got.every((message, i) => message === piece[i]), `a gap on ${channel}`);
			for (const message of order) {
				const { begun, seen = 0, confirmed = seen, from, text } = message;
				const isInPiece = message.place >= first && message.place < first + got.length;
				const about = `${text.slice(0, 20)} on ${channel}`;
				// Also what had been published by then, and had still to go out: its own messages, and what an answer has confirmed.
				const isEarlier = Math.min(seen, confirmed, from === this.#from ? begun : seen) < askedToLeave;
				if (begun > joined && isEarlier) assert.ok(isInPiece, `lost: ${about}`);
				if (seen < askedToJoin) assert.ok(!isInPiece, `from before: ${about}`);
			}
		}
	}
}
