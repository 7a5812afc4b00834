// The slope of a series of samples, with its error.
import { lineThrough, meanOf } from '../support/line.js';

/** In the unit of the samples, for each hour. The true slope is within `error` of it with a probability of 99.9 %. */
type Slope = { readonly perHour: number; readonly error: number };

export type Sample = { readonly ms: number; readonly value: number };

// Memory goes up and down with each collection of garbage, so that one sample tells much of the next. The means of long blocks are
// independent of one another, and a line through them has an honest error (the method of batch means).
const blocks = 12;
/** Student's t for 99.9 %, two-sided, with 10 degrees of freedom: two fewer than blocks. */
const studentT = 4.587;
const msPerHour = 3_600_000;

/** The line of least squares through the means of twelve blocks of samples. Throws if there are fewer samples than two for each block. */
export function slopeOf(samples: readonly Sample[]): Slope {
	if (samples.length < 2 * blocks) throw new Error(`${samples.length} samples are too few for a slope`);
	const means = Array.from({ length: blocks }, (_, nth) => {
		const [from, to] = [nth, nth + 1].map((n) => Math.floor((n * samples.length) / blocks));
		const block = samples.slice(from, to);
		return { x: meanOf(block.map(({ ms }) => ms)), y: meanOf(block.map(({ value }) => value)) };
	});
	const { slope, error } = lineThrough(means);
	return { perHour: slope * msPerHour, error: studentT * error * msPerHour };
}
