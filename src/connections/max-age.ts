// Closes connections at a certain age. No timer for each: all are looked at, again and again, some in each tick.
import type { Round } from './spread.js';

// A connection is closed a hundredth of the age late at most. A hundred looks at a connection cost less than its handshake.
const looksPerAge = 100;
// An authorisation that has expired counts for a second more at the most. A million connections take some 15 ms to look at.
const serviceStepMs = 1_000;
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

/** How often to look for connections that are too old; undefined for never. A service may give each connection an age of its own. */
export function agingStepMs(ageSeconds: number | undefined, hasService: boolean): number | undefined {
	const stepMs = ageSeconds === undefined ? Number.POSITIVE_INFINITY : (ageSeconds * 1_000) / looksPerAge;
	if (hasService) return Math.min(stepMs, serviceStepMs);
	return ageSeconds === undefined ? undefined : stepMs;
}

/** Begins a round of closing, and sees it through, again and again. */
export function startAging(stepMs: number, begin: () => Round): void {
	let round: Round | undefined;

	function goOn(): void {
		round?.close(Number.POSITIVE_INFINITY);
		if (round?.isOver()) round = undefined;
		else setImmediate(goOn);
	}

	setInterval(() => {
		if (round !== undefined) return;
		round = begin();
		goOn();
	}, stepMs).unref();
}
