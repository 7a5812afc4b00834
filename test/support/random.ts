// Random choices that a seed repeats: TEST_SEED=… npm test runs a failure again.
import type { TestContext } from 'node:test';

export class Random {
	#state: number;

	constructor(seed: number) {
		this.#state = seed >>> 0;
	}

	/** A whole number from 0 up to, but not including, `below` (mulberry32). */
	below(below: number): number {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let z = this.#state;
		z = Math.imul(z ^ (z >>> 15), z | 1);
		z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
		return ((z ^ (z >>> 14)) >>> 0) % below;
	}
}

/** A source of random choices whose seed is printed. */
export function seededRandom(t: TestContext): Random {
	const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
	t.diagnostic(`TEST_SEED=${seed}`);
	return new Random(seed);
}
