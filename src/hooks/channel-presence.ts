// When a channel opens and closes, as the application sees it: a channel that opens again soon was never closed. Knows names alone.
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import { NameMap } from '../pubsub/name-map.js';

// The reload of a page takes less time than this.
const absenceMs = 2_000;
// The channels that close within a tenth of a second are told together, in one batch.
const lookMsMin = 100;
// If more channels than this wait, the oldest are told early. So many take some MB.
const absentMax = 10_000;

export type ChannelPresenceParts = {
	readonly onOpened: (name: ChannelName) => void;
	/** Hears when the last subscriber left, by Date.now(). */
	readonly onClosed: (name: ChannelName, timeMs: number) => void;
	readonly absenceMs?: number;
	readonly absentMax?: number;
};

export class ChannelPresence {
	readonly #parts: ChannelPresenceParts;
	/** How many channels have a name: more than one while subscribers leave a channel that lost its name to a DELETE. */
	readonly #present = new NameMap<number>();
	/** The names that have lost their channel, and when, by performance.now(), from the oldest to the newest. */
	readonly #absent = new Map<ChannelName, number>();
	#look: NodeJS.Timeout | undefined;
	#isFinishing = false;

	constructor(parts: ChannelPresenceParts) {
		this.#parts = parts;
	}

	/** To be called when a subscriber has joined the channel. */
	joined({ name, subscribers }: Channel): void {
		if (subscribers !== 1) return;
		const channels = this.#present.get(name) ?? 0;
		if (channels > 0) this.#present.delete(name);
		this.#present.add(name, channels + 1);
		if (channels === 0 && !this.#absent.delete(name)) this.#parts.onOpened(name);
	}

	/** To be called when a subscriber has left the channel. */
	left({ name, subscribers }: Channel): void {
		if (subscribers !== 0) return;
		const channels = this.#present.get(name) ?? 1;
		this.#present.delete(name);
		if (channels > 1) {
			this.#present.add(name, channels - 1);
			return;
		}
		this.#absent.set(name, performance.now());
		if (this.#isFinishing) this.#tell(0);
		else this.#bound();
	}

	/** Tells of all closed channels, and from now on of each at once. */
	finish(): void {
		this.#isFinishing = true;
		clearTimeout(this.#look);
		this.#tell(0);
	}

	#bound(): void {
		const max = this.#parts.absentMax ?? absentMax;
		// A tenth at a time: a Map takes long to find its first entry when many entries before it were deleted.
		if (this.#absent.size > max) this.#tell(0, Math.ceil(max / 10));
		this.#look ??= setTimeout(this.#onTime, this.#absenceMs);
	}

	readonly #onTime = (): void => {
		this.#look = undefined;
		this.#tell(this.#absenceMs);
		for (const leftMs of this.#absent.values()) {
			this.#look = setTimeout(this.#onTime, Math.max(leftMs + this.#absenceMs - performance.now(), lookMsMin));
			break;
		}
	};

	get #absenceMs(): number {
		return this.#parts.absenceMs ?? absenceMs;
	}

	/** Tells of names that have been absent for `forMs`, from the oldest on, and of `namesMax` at the most. */
	#tell(forMs: number, namesMax = Number.POSITIVE_INFINITY): void {
		const nowMs = performance.now();
		let names = 0;
		for (const [name, leftMs] of this.#absent) {
			if (nowMs - leftMs < forMs || names++ === namesMax) return;
			this.#absent.delete(name);
			this.#parts.onClosed(name, Date.now() - (nowMs - leftMs));
		}
	}
}
