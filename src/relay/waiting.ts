// Counts the bytes that have been sent to the relay and not been answered, and decides whether more may be sent.
import type { ChannelName } from '../pubsub/channel-name.js';

// Over all channels. Above this, a channel without a waiting message may still send one, up to twice as much in all: a few busy channels
// must not keep the others out.
const waitingBytesMax = 67_108_864;
// A short message takes some 1.7 KB while it waits: so many take 110 MB.
const waitingMessagesMax = 65_536;

export class Waiting {
	/** Of one channel. */
	readonly #bytesMax: number;
	readonly #bytesOf = new Map<ChannelName, number>();
	#bytes = 0;
	#messages = 0;

	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax;
	}

	/** Over all channels. */
	get bytes(): number {
		return this.#bytes;
	}

	/** Counts a message that is sent. False, and nothing is counted, if too much waits. */
	begin(name: ChannelName, bytes: number): boolean {
		const own = this.#bytesOf.get(name) ?? 0;
		const share = own === 0 ? 2 : 1;
		// The longest message passes when no other message of its channel waits.
		const hasRoom = own === 0 || own + bytes <= this.#bytesMax;
		if (!hasRoom || this.#bytes >= share * waitingBytesMax || this.#messages >= share * waitingMessagesMax) return false;
		this.add(name, bytes);
		return true;
	}

	/** Counts a message that is sent, however much waits. */
	add(name: ChannelName, bytes: number): void {
		this.#messages++;
		this.#bytesOf.set(name, (this.#bytesOf.get(name) ?? 0) + bytes);
		this.#bytes += bytes;
	}

	/** Counts that it has been answered, or never will be. */
	end(name: ChannelName, bytes: number): void {
		const own = (this.#bytesOf.get(name) ?? 0) - bytes;
		if (own === 0) this.#bytesOf.delete(name);
		else this.#bytesOf.set(name, own);
		this.#messages--;
		this.#bytes -= bytes;
	}
}
