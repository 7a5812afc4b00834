import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rateLimited } from '#src/observe/log.js';

test('a rate-limited log line tells how many were left out', () => {
	let now = 0;
	const lines: [number, string][] = [];
	const write = rateLimited(
		1_000,
		(leftOut: number, text: string) => lines.push([leftOut, text]),
		() => now,
	);
	for (const [ms, text] of [
		[0, 'first'],
		[1, 'left out'],
		[999, 'left out'],
		[1_000, 'second'],
		[1_500, 'left out'],
		[9_000, 'third'],
		[10_000, 'fourth'],
	] as const) {
		now = ms;
		write(text);
	}
	assert.deepEqual(lines, [
		[0, 'first'],
		[2, 'second'],
		[1, 'third'],
		[0, 'fourth'],
	]);
});

test('a clock that is set back by a year silences no rate-limited line', (t) => {
	let aheadMs = 0;
	const { now } = Date;
	t.mock.method(Date, 'now', () => now() + aheadMs);
	const lines: number[] = [];
	const write = rateLimited(0, (leftOut: number) => lines.push(leftOut));
	write();
	aheadMs = -365 * 86_400_000;
	write();
	assert.deepEqual(lines, [0, 0]);
});
