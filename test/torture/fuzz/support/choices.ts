// Random choices that a number repeats.
import { Random } from '../../../support/random.js';

/** The choices of one input, which depend on no other input. */
export function choicesOf(seed: number, n: number): Random {
	return new Random(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(n + 1, 0xc2b2ae35));
}

export function pick<T>(random: Random, items: readonly T[]): T {
	return items[random.below(items.length)] as T;
}

/** True so many times of a hundred. */
export function chance(random: Random, percent: number): boolean {
	return random.below(100) < percent;
}

/** From one to `max`. */
export function upTo(random: Random, max: number): number {
	return 1 + random.below(max);
}

/** The results of `count` calls of `make`. */
export function times<T>(count: number, make: (i: number) => T): T[] {
	return Array.from({ length: count }, (_, i) => make(i));
}

export function randomBytes(random: Random, count: number): Buffer {
	return Buffer.from(times(count, () => random.below(256)));
}
