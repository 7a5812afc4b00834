// Sends websockets away at a certain age. No timer for each: all are looked at, again and again, some in each tick.
import type { Farewell } from './spread.js';

// Who is due goes a hundredth of the age later at most. A hundred looks at a websocket cost less than its handshake.
const looksPerAge = 100;
// Ten percent more or less, that hundredth included, so that those who came together do not leave together.
const [ageShareMin, ageShareMax] = [0.9, 1.09];

/** Gives the time, as performance.now() tells it, when a websocket that opens now is to go; undefined for never. */
export function expiryAfter(ageSeconds: number | undefined): () => number | undefined {
	if (ageSeconds === undefined) return () => undefined;
	return () => {
		const share = ageShareMin + (ageShareMax - ageShareMin) * Math.random();
		return Math.ceil(performance.now() + ageSeconds * 1_000 * share);
	};
}

/** Has a farewell begun, and seen through, a hundred times in each age. */
export function startAging(ageSeconds: number, begin: () => Farewell): void {
	let farewell: Farewell | undefined;

	function goOn(): void {
		farewell?.send(Number.POSITIVE_INFINITY);
		if (farewell?.isOver()) farewell = undefined;
		else setImmediate(goOn);
	}

	setInterval(
		() => {
			if (farewell !== undefined) return;
			farewell = begin();
			goOn();
		},
		(ageSeconds * 1_000) / looksPerAge,
	).unref();
}
