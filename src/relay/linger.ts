// Channels without subscribers that are kept for a time, so that the reload of a page costs nothing. Knows names alone.
import type { ChannelName } from '../pubsub/channel-name.js';

// Channels that are due within this time are released together.
const stepMs = 100;
// A million channels may be due at once: some milliseconds' work for each tick.
const namesPerTick = 2_000;
// Clients choose the names, and no other limit counts a channel without subscribers: some hundred bytes for each, here and in Redis.
const namesMax = 262_144;

export class Linger {
	readonly #lingerMs: number;
	readonly #release: (name: ChannelName) => void;
	/** When each is due, by performance.now(), from the first to the last. */
	readonly #dueMs = new Map<ChannelName, number>();
	#timer: NodeJS.Timeout | undefined;
	#isStopped = false;

	/** `release` is called once the time is over, whether the channel has subscribers by then or not. */
	constructor(lingerMs: number, release: (name: ChannelName) => void) {
		this.#lingerMs = lingerMs;
		this.#release = release;
	}

	/** Begins the time of a channel anew. If too many are kept, the time of the first is over at once. */
	add(name: ChannelName): void {
		if (this.#isStopped) return;
		this.#dueMs.delete(name);
		this.#dueMs.set(name, performance.now() + this.#lingerMs);
		this.#timer ??= setTimeout(this.#onTime, this.#lingerMs).unref();
		if (this.#dueMs.size <= namesMax) return;
		const [first = name] = this.#dueMs.keys();
		this.#dueMs.delete(first);
		this.#release(first);
	}

	delete(name: ChannelName): void {
		this.#dueMs.delete(name);
	}

	stop(): void {
		this.#isStopped = true;
		clearTimeout(this.#timer);
		this.#dueMs.clear();
	}

	readonly #onTime = (): void => {
		this.#timer = undefined;
		const nowMs = performance.now();
		let released = 0;
		for (const [name, dueMs] of this.#dueMs) {
			if (dueMs > nowMs || released === namesPerTick) {
				this.#timer = setTimeout(this.#onTime, dueMs > nowMs ? Math.max(dueMs - nowMs, stepMs) : 0).unref();
				return;
			}
			released++;
			this.#dueMs.delete(name);
			this.#release(name);
		}
	};
}
