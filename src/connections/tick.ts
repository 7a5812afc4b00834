// Counts the work of one tick.

/** Counts what is done in each tick, all connections together: the engine does not tell which requests come from one. */
export class Tick {
	#amount = 0;
	#isEndScheduled = false;
	readonly #onEnd: () => void;
	readonly #uncounted: number;

	/** An amount of up to `uncounted` is not reset at the end of its tick, so that a quiet server schedules nothing. */
	constructor(onEnd: () => void, uncounted = 64) {
		this.#onEnd = onEnd;
		this.#uncounted = uncounted;
	}

	get amount(): number {
		return this.#amount;
	}

	/** Adds to the work of this tick, and gives the sum. */
	add(amount: number): number {
		this.#amount += amount;
		if (this.#amount > this.#uncounted && !this.#isEndScheduled) {
			this.#isEndScheduled = true;
			setImmediate(this.#end);
		}
		return this.#amount;
	}

	readonly #end = (): void => {
		this.#isEndScheduled = false;
		this.#amount = 0;
		this.#onEnd();
	};
}
