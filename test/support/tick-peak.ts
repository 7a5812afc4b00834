// Counts how often something happens in each tick, and keeps the highest count.
import type { Hub } from '#src/pubsub/hub.js';

export class TickPeak {
	#inTick = 0;
	#max = 0;

	get max(): number {
		return this.#max;
	}

	count(): void {
		this.#inTick++;
	}

	/** Begins a new count with each tick, until the hub has no subscriber any more. */
	watch(hub: Hub): void {
		this.#max = Math.max(this.#max, this.#inTick);
		this.#inTick = 0;
		if (hub.subscribers > 0) setImmediate(() => this.watch(hub));
	}
}
