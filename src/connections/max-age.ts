// Closes connections at a certain age. No timer for each: all are looked at, again and again, some in each tick.
import type { Round } from './spread.js';

// A connection is closed a hundredth of the age late at most. A hundred looks at a connection cost less than its handshake.
const looksPerAge = 100;
// Ten percent more or less, that hundredth included, so that connections that opened together do not close together.
const [ageShareMin, ageShareMax] = [0.9, 1.09];

/** Gives the time, by performance.now(), when a connection that opens now is to be closed; undefined for never. */
export function expiryAfter(ageSeconds: number | undefined): () => number | undefined {
	if (ageSeconds === undefined) return () => undefined;
	return () => {
		const share = ageShareMin + (ageShareMax - ageShareMin) * Math.random();
		return Math.ceil(performance.now() + ageSeconds * 1_000 * share);
	};
}

/** Begins a round of closing, and sees it through, a hundred times in each age. */
export function startAging(ageSeconds: number, begin: () => Round): void {
	let round: Round | undefined;

	function goOn(): void {
		round?.close(Number.POSITIVE_INFINITY);
		if (round?.isOver()) round = undefined;
		else setImmediate(goOn);
	}

	setInterval(
		() => {
			if (round !== undefined) return;
			round = begin();
			goOn();
		},
		(ageSeconds * 1_000) / looksPerAge,
	).unref();
}
