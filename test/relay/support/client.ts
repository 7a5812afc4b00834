// A client that connects again whenever its connection is closed, notes what it gets, and publishes when it has got its own last message.
import type { Connect, Connection } from './connections.js';
import type { Ledger, Piece } from './ledger.js';

// How long a client waits before it connects again, as real clients do.
const pauseMs = 20;
// How a gap ends a connection, or an attempt, and how a killed node does.
const closedForGap = /^1012 the relay was lost, and (messages|this message) may .*; connect again$|^ended$|: 503$/;
const isCut = /^1006$|^cut$|ECONN|hang up/;

export type ClientParts = {
	readonly ledger: Ledger;
	readonly connect: Connect;
	/** For the message of a failure. */
	readonly who: string;
	readonly port: number;
	readonly channel: string;
	/** Whether its node may be killed. */
	readonly mayBeCut: () => boolean;
	/** How many messages to publish now. */
	readonly burst: () => number;
	/** Whether it is no subscriber of a node. */
	readonly isReference?: boolean;
};

export class Client {
	readonly #parts: ClientParts;
	#connection: Connection | undefined;
	#piece: Piece | undefined;
	/** Its last message that has not come back; undefined if there is none. */
	#awaited: number | undefined;
	#isOver = false;
	#pause: NodeJS.Timeout | undefined;
	/** How its last connection, or attempt, ended. */
	#how = '';
	/** How often a connection that was open was closed for a gap, and how often it was cut. */
	closed = 0;
	cut = 0;

	constructor(parts: ClientParts) {
		this.#parts = parts;
		this.#connect();
	}

	/** For the message of a failure. */
	get state(): string {
		const { who } = this.#parts;
		return `${who}: ${this.#piece === undefined ? `not connected (${this.#how})` : `got ${this.#piece.got.at(-1)}, awaits ${this.#awaited}`}`;
	}

	get channel(): string {
		return this.#parts.channel;
	}

	/** What its connection has got; undefined while it has none. */
	get piece(): Piece | undefined {
		return this.#piece;
	}

	get isIdle(): boolean {
		return this.#awaited === undefined;
	}

	/** Publishes, if it has got its last message. */
	publish(): void {
		const { ledger, who, channel, burst } = this.#parts;
		const send = this.#connection?.send;
		if (send === undefined || this.#piece === undefined || this.#awaited !== undefined) return;
		for (let left = burst(); left > 0; left--) {
			this.#awaited = ledger.publish(channel, who);
			send(`${this.#awaited} from ${who}`);
		}
	}

	end(): void {
		this.#isOver = true;
		clearTimeout(this.#pause);
		this.#connection?.end();
	}

	#connect(): void {
		const { ledger, connect, port, who, channel, isReference = false } = this.#parts;
		this.#connection = connect(port, channel, {
			onOpen: () => {
				this.#piece = ledger.open(who, channel, !isReference);
				ledger.changed();
				// A websocket that has just opened is known to the caller in the next turn.
				setImmediate(() => this.publish());
			},
			onMessage: (message) => {
				if (this.#piece === undefined) return;
				const isOwn = message === this.#awaited;
				if (isOwn) this.#awaited = undefined;
				ledger.take(this.#piece, message);
				if (isOwn) this.publish();
			},
			onClosed: (how) => this.#closed(how),
		});
	}

	#closed(how: string): void {
		const { ledger, who, mayBeCut } = this.#parts;
		if (this.#isOver) return;
		if (!closedForGap.test(how) && !(mayBeCut() && isCut.test(how))) ledger.fail(new Error(`${who} was closed: ${how}`));
		if (this.#piece !== undefined) {
			if (isCut.test(how)) this.cut++;
			else this.closed++;
			ledger.close(this.#piece);
		}
		this.#how = how;
		this.#piece = undefined;
		this.#awaited = undefined;
		ledger.changed();
		this.#pause = setTimeout(() => this.#connect(), pauseMs);
	}
}
