// What a channel keeps for subscribers that are catching up: each message once, however many subscribers wait for it.
import { keptMessage, type Message, messageOverheadBytes } from './message.js';

type Entry = {
	readonly message: Message | undefined;
	/** The bytes of all messages up to this one. */
	readonly endBytes: number;
	next: Entry | undefined;
	/** The positions whose last message was this one. Undefined until there is one. */
	positions: Set<Position> | undefined;
	/** No subscriber of these positions has more unread. */
	unreadMax: number;
};

/** The position of one subscriber among the kept messages. */
export type Position = {
	/** The last message that it was sent. */
	entry: Entry;
	/** The last message that it is to be sent; undefined while that is the newest. */
	last: Entry | undefined;
	/** How many bytes the subscriber was sent and has not read. They become fewer with time. */
	readonly unreadBytes: () => number;
	/** Hears that these bytes and those that are kept for it exceed the limit. Nothing is kept for it any more. */
	readonly onLost: () => void;
	/** Whether that has happened. The subscriber is sent nothing more, whatever it reads. */
	isLost: boolean;
};

/** The messages from the one that the slowest subscriber waits for to the newest. */
export class KeptMessages {
	readonly #bytesMax: number;
	#oldest: Entry = newEntry(undefined, 0);
	#newest: Entry = this.#oldest;
	#positions = 0;

	/** `bytesMax` bounds what a subscriber has unread and what is kept for it, together. */
	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax;
	}

	get isUnused(): boolean {
		return this.#positions === 0;
	}

	/** What is kept. Each message counts 64 bytes beside its own. */
	get bytes(): number {
		return this.#newest.endBytes - this.#oldest.endBytes;
	}

	/** Keeps a copy of a message for all positions, and gives up those for which it is too much. */
	add(message: Message): void {
		const endBytes = this.#newest.endBytes + message.bytes.byteLength + messageOverheadBytes;
		const entry = newEntry(keptMessage(message), endBytes);
		this.#newest.next = entry;
		this.#newest = entry;
		while (this.bytes + this.#oldest.unreadMax > this.#bytesMax) {
			this.#giveUp(this.#oldest);
			if (hasPositions(this.#oldest)) break;
			this.#forgetUnneeded();
		}
	}

	/** A position before everything that is added from now on. */
	enter(unreadBytes: () => number, onLost: () => void): Position {
		const position = { entry: this.#newest, last: undefined, unreadBytes, onLost, isLost: false };
		this.#positions++;
		addPosition(this.#newest, position);
		this.#newest.unreadMax = Math.max(this.#newest.unreadMax, unreadBytes());
		return position;
	}

	/** The next message for a position; undefined if there is none. */
	next(position: Position): Message | undefined {
		const { entry, last, isLost } = position;
		const { next } = entry;
		if (next === undefined || entry === last || isLost) return undefined;
		position.entry = next;
		addPosition(next, position);
		// The subscriber is about to have more unread; how much is not known yet.
		next.unreadMax = Number.POSITIVE_INFINITY;
		entry.positions?.delete(position);
		this.#forgetUnneeded();
		return next.message;
	}

	/** Nothing that is added from now on is for this position. */
	endFor(position: Position): void {
		position.last ??= this.#newest;
	}

	leave(position: Position): void {
		this.#positions--;
		position.entry.positions?.delete(position);
		this.#forgetUnneeded();
	}

	/** How many bytes are still to be sent to a position, whether they are kept or given up. */
	bytesFor({ entry, last = this.#newest }: Position): number {
		return last.endBytes - entry.endBytes;
	}

	/** The share of these bytes that one position accounts for: what is kept for many is freed when all of them have gone. */
	partOf(position: Position): number {
		return this.bytesFor(position) / this.#positions;
	}

	/** Gives up those positions of an entry that exceed the limit. */
	#giveUp(entry: Entry): void {
		entry.unreadMax = 0;
		for (const position of entry.positions ?? []) {
			const unreadBytes = position.unreadBytes();
			// Everything that was kept since then counts, whether this subscriber is to be sent all of it or not.
			if (this.#newest.endBytes - entry.endBytes + unreadBytes > this.#bytesMax) {
				entry.positions?.delete(position);
				position.isLost = true;
				position.onLost();
			} else {
				entry.unreadMax = Math.max(entry.unreadMax, unreadBytes);
			}
		}
	}

	#forgetUnneeded(): void {
		while (!hasPositions(this.#oldest) && this.#oldest.next !== undefined) {
			const { next } = this.#oldest;
			// Else an entry that has grown old would keep everything after it until the next full collection.
			this.#oldest.next = undefined;
			this.#oldest = next;
		}
	}
}

function newEntry(message: Message | undefined, endBytes: number): Entry {
	return { message, endBytes, next: undefined, positions: undefined, unreadMax: 0 };
}

function addPosition(entry: Entry, position: Position): void {
	entry.positions ??= new Set();
	entry.positions.add(position);
}

function hasPositions({ positions }: Entry): boolean {
	return positions !== undefined && positions.size > 0;
}
