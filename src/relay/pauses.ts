// The pauses between attempts to reach the relay.

// The first new attempt comes soon, because a failover may be over; the later ones are spread, because many nodes wait for the same server.
const pauseMsMin = 100;
const pauseMsMax = 2_000;
// Trouble that comes again within this time is the same trouble: a server may accept every connection and close it. Longer than a pause.
const troubleMs = 10_000;

export class Pauses {
	#attempts = 0;
	/** When the last pause began, by performance.now(). */
	#beganMs = Number.NEGATIVE_INFINITY;

	/** The length of the next pause, in milliseconds: about twice that of the pause before, until there is no trouble for some time. */
	next(): number {
		const nowMs = performance.now();
		if (nowMs - this.#beganMs > troubleMs) this.#attempts = 0;
		this.#beganMs = nowMs;
		const ms = Math.min(pauseMsMin * 2 ** this.#attempts++, pauseMsMax);
		return ms * (0.5 + Math.random());
	}
}
