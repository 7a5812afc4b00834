// Lets a number of things happen at once, and the next ones wait in their order.

/** How many may wait for a hook. More are refused: they would wait longer than their clients. */
export const waitingMax = 4_096;

export class Gate {
	readonly #atOnceMax: number;
	readonly #waitingMax: number;
	// A Set keeps its order, and forgets one in the middle at no cost.
	readonly #waiting = new Set<() => void>();
	#atOnce = 0;

	constructor(atOnceMax: number, waitingMax: number) {
		this.#atOnceMax = atOnceMax;
		this.#waitingMax = waitingMax;
	}

	get waiting(): number {
		return this.#waiting.size;
	}

	/** Calls `start`, now or when there is room. False, and it is never called, if too many wait. Call `leave` once for each call of `start`. */
	enter(start: () => void): boolean {
		if (this.#atOnce < this.#atOnceMax) {
			this.#atOnce++;
			start();
			return true;
		}
		if (this.#waiting.size >= this.#waitingMax) return false;
		this.#waiting.add(start);
		return true;
	}

	/** Makes room for the next. */
	leave(): void {
		const [next] = this.#waiting;
		if (next === undefined) {
			this.#atOnce--;
			return;
		}
		this.#waiting.delete(next);
		next();
	}

	/** Takes back what waits. False if it has started. */
	withdraw(start: () => void): boolean {
		return this.#waiting.delete(start);
	}
}
