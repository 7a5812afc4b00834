// Bounds how many messages are handled in one tick, before other connections have their turn.
import { Tick } from '../connections/tick.js';

// Some fifteen milliseconds' work; up to eighty at `debug`, where each is a line of the log.
const messagesPerTick = 4_096;
// After that many, each websocket may still send this many in the same tick.
const ownMessagesPerTick = 128;

/** Messages from websockets; keepalives, pings and pongs count too. */
export class MessageTurns {
	/** How many messages each websocket has sent since the limit for all was reached in this tick. */
	readonly #own = new Map<object, number>();
	readonly #tick = new Tick(() => this.#own.clear());

	/** Counts a message. False if this sender has sent too many in this tick. */
	take(sender: object): boolean {
		if (this.#tick.add(1) <= messagesPerTick) return true;
		const own = (this.#own.get(sender) ?? 0) + 1;
		this.#own.set(sender, own);
		return own <= ownMessagesPerTick;
	}
}
