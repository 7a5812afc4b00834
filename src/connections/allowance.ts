// A token bucket: it holds one second's worth, and fills evenly.

export class Allowance {
	readonly #perSecond: number;
	#amount: number;
	#filledMs: number;

	/** It begins full. The times are those of one monotonic clock. */
	constructor(perSecond: number, nowMs: number) {
		this.#perSecond = perSecond;
		this.#amount = perSecond;
		this.#filledMs = nowMs;
	}

	/** Takes that much from it. False if there is less. */
	take(nowMs: number, amount = 1): boolean {
		const filled = this.#amount + ((nowMs - this.#filledMs) / 1_000) * this.#perSecond;
		this.#amount = Math.min(this.#perSecond, filled);
		this.#filledMs = nowMs;
		if (this.#amount < amount) return false;
		this.#amount -= amount;
		return true;
	}
}
