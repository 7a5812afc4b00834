// What a channel keeps for those of its subscribers who have fallen behind: each message once, however many wait for it.
import { copyOf, type Message, trustedMessage } from './message.js';

// What a message counts beside its bytes, so that a flood of tiny ones is bounded too. It takes some 200.
const messageOverheadBytes = 64;

type Entry = {
	readonly message: Message | undefined;
	/** What was kept until now, this message included. */
	readonly endBytes: number;
	next: Entry | undefined;
	/** Who has been sent this one, and not the next. Undefined until there is somebody. */
	waiters: Set<Waiter> | undefined;
	/** None of them has more unread. */
	unreadMax: number;
};

/** One who has fallen behind. */
export type Waiter = {
	/** The last that it was sent. */
	entry: Entry;
	/** The last that it is to be sent; undefined while that is the newest. */
	last: Entry | undefined;
	/** How many bytes it was sent and has not read. They become fewer while it waits. */
	readonly unread: () => number;
	/** Hears that this and what it is still to be sent are too much, and kept no longer. */
	readonly onTooFar: () => void;
	/** Whether it has heard that. It is sent nothing more, whatever it reads. */
	isTooFar: boolean;
};

/** The messages from the one that the slowest waits for to the newest. */
export class SharedBacklog {
	readonly #bytesMax: number;
	#oldest: Entry = newEntry(undefined, 0);
	#newest: Entry = this.#oldest;
	#waiters = 0;

	/** `bytesMax` is how far one may be behind, with what it has not read. */
	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax;
	}

	get isUnused(): boolean {
		return this.#waiters === 0;
	}

	/** What is kept. Each message counts 64 bytes beside its own. */
	get bytes(): number {
		return this.#newest.endBytes - this.#oldest.endBytes;
	}

	/** Keeps a copy of a message for all who wait, but for those for whom it is too much. */
	add({ bytes, isBinary }: Message): void {
		const message = trustedMessage(copyOf(bytes), isBinary);
		const entry = newEntry(message, this.#newest.endBytes + bytes.byteLength + messageOverheadBytes);
		this.#newest.next = entry;
		this.#newest = entry;
		while (this.bytes + this.#oldest.unreadMax > this.#bytesMax) {
			this.#giveUp(this.#oldest);
			if (hasWaiters(this.#oldest)) break;
			this.#forgetUnneeded();
		}
	}

	/** Lets one wait for what is added from now on. */
	enter(unread: () => number, onTooFar: () => void): Waiter {
		const waiter = { entry: this.#newest, last: undefined, unread, onTooFar, isTooFar: false };
		this.#waiters++;
		addWaiter(this.#newest, waiter);
		this.#newest.unreadMax = Math.max(this.#newest.unreadMax, unread());
		return waiter;
	}

	/** The message that comes next for one; undefined if there is none. */
	next(waiter: Waiter): Message | undefined {
		const { entry, last, isTooFar } = waiter;
		const { next } = entry;
		if (next === undefined || entry === last || isTooFar) return undefined;
		waiter.entry = next;
		addWaiter(next, waiter);
		// It is about to have more unread, who knows how much.
		next.unreadMax = Number.POSITIVE_INFINITY;
		entry.waiters?.delete(waiter);
		this.#forgetUnneeded();
		return next.message;
	}

	/** Nothing that is added from now on is for this one. */
	endFor(waiter: Waiter): void {
		waiter.last ??= this.#newest;
	}

	leave(waiter: Waiter): void {
		this.#waiters--;
		waiter.entry.waiters?.delete(waiter);
		this.#forgetUnneeded();
	}

	/** How much is to be sent to one, kept or not. */
	bytesFor({ entry, last = this.#newest }: Waiter): number {
		return last.endBytes - entry.endBytes;
	}

	/** One's part of that: what is kept for many is gone with all of them. */
	partOf(waiter: Waiter): number {
		return this.bytesFor(waiter) / this.#waiters;
	}

	/** Forgets those of an entry's waiters that are too far behind. */
	#giveUp(entry: Entry): void {
		entry.unreadMax = 0;
		for (const waiter of entry.waiters ?? []) {
			const unreadBytes = waiter.unread();
			// What is kept since then, whether this one is to be sent all of that or not.
			if (this.#newest.endBytes - entry.endBytes + unreadBytes > this.#bytesMax) {
				entry.waiters?.delete(waiter);
				waiter.isTooFar = true;
				waiter.onTooFar();
			} else {
				entry.unreadMax = Math.max(entry.unreadMax, unreadBytes);
			}
		}
	}

	#forgetUnneeded(): void {
		while (!hasWaiters(this.#oldest) && this.#oldest.next !== undefined) {
			const { next } = this.#oldest;
			// Else an entry that has grown old would keep all that came after it until the next full collection.
			this.#oldest.next = undefined;
			this.#oldest = next;
		}
	}
}

function newEntry(message: Message | undefined, endBytes: number): Entry {
	return { message, endBytes, next: undefined, waiters: undefined, unreadMax: 0 };
}

function addWaiter(entry: Entry, waiter: Waiter): void {
	entry.waiters ??= new Set();
	entry.waiters.add(waiter);
}

function hasWaiters({ waiters }: Entry): boolean {
	return waiters !== undefined && waiters.size > 0;
}
