// The newest messages, as many as a page should hold. Knows no document.
import type { Message } from './message-text.js';

const countMax = 1_000;
/** A thousand of the default --max-message would be 64 MiB, of the largest one 1 GiB. */
const bytesMax = 16 * 1_048_576;

/** At most a thousand, and no more than 16 MiB of messages, but always the newest. */
export class Latest<Item> {
	readonly #messageOf: (item: Item) => Message;
	#items: Item[] = [];
	#bytes = 0;

	constructor(messageOf: (item: Item) => Message) {
		this.#messageOf = messageOf;
	}

	get items(): readonly Item[] {
		return this.#items;
	}

	/** Adds a message, and gives those that had to make room for it. */
	push(item: Item): Item[] {
		this.#items.push(item);
		this.#bytes += this.#messageOf(item).bytes;
		let gone = 0;
		for (const oldest of this.#items) {
			const left = this.#items.length - gone;
			if (left <= countMax && (this.#bytes <= bytesMax || left === 1)) break;
			this.#bytes -= this.#messageOf(oldest).bytes;
			gone++;
		}
		return gone === 0 ? [] : this.#items.splice(0, gone);
	}

	/** Gives all, and is empty then. */
	take(): Item[] {
		const all = this.#items;
		this.#items = [];
		this.#bytes = 0;
		return all;
	}
}
