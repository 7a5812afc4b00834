// How fast a websocket may send: a bucket that holds one second's messages and fills evenly.

export class Allowance {
	readonly #perSecond: number;
	#messages: number;
	#filledMs: number;

	/** It begins full. The times are those of one monotonic clock. */
	constructor(perSecond: number, nowMs: number) {
		this.#perSecond = perSecond;
		this.#messages = perSecond;
		this.#filledMs = nowMs;
	}

	/** Takes one message from it. False if there is none. */
	take(nowMs: number): boolean {
		const filled = this.#messages + ((nowMs - this.#filledMs) / 1_000) * this.#perSecond;
		this.#messages = Math.min(this.#perSecond, filled);
		this.#filledMs = nowMs;
		if (this.#messages < 1) return false;
		this.#messages--;
		return true;
	}
}
