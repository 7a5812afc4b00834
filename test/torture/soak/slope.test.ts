// Shows that the slope of the soak finds a leak, and finds none where there is none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../support/random.js';
import { type Sample, slopeOf } from './slope.js';

/** A sample a second for twenty minutes. */
function series(valueAt: (second: number) => number): Sample[] {
	return Array.from({ length: 1_200 }, (_, second) => ({ ms: 1_000 * second, value: valueAt(second) }));
}

/** From -1 to 1. */
function noise(random: Random): number {
	return random.below(20_001) / 10_000 - 1;
}

/** Memory that rises until a collection, in steps that differ, each of some 30 seconds. */
function sawtooth(random: Random): (second: number) => number {
	let value = 80;
	return () => {
		value += 0.5 + 0.4 * noise(random);
		if (value > 95 + 3 * noise(random)) value = 80 + 2 * noise(random);
		return value;
	};
}

test('a straight line has its slope, without an error', () => {
	const { perHour, error } = slopeOf(series((second) => 80 + second / 360));
	assert.ok(Math.abs(perHour - 10) < 1e-6 && error < 1e-6, `${perHour} ± ${error}`);
});

test('memory that goes up and down has a slope of zero within its error, in 990 of 1,000 series at least', () => {
	let wrong = 0;
	for (let seed = 0; seed < 1_000; seed++) {
		const { perHour, error } = slopeOf(series(sawtooth(new Random(seed))));
		if (Math.abs(perHour) > error) wrong++;
	}
	assert.ok(wrong <= 10, `${wrong} of 1,000`);
});

test('a leak of 20 MB an hour is found under memory that goes up and down by 15, in 990 of 1,000 series at least', () => {
	let missed = 0;
	for (let seed = 0; seed < 1_000; seed++) {
		const tooth = sawtooth(new Random(seed));
		const { perHour, error } = slopeOf(series((second) => tooth(second) + second / 180));
		if (perHour <= error) missed++;
	}
	assert.ok(missed <= 10, `${missed} of 1,000`);
});

test('too few samples are refused', () => {
	assert.throws(() => slopeOf(series(() => 1).slice(0, 23)), /23 samples are too few/);
});
