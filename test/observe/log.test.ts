import assert from 'node:assert/strict';
import fs, { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createLog, rateLimited } from '#src/observe/log.js';
import { becomes } from '../relay/support/becomes.js';
import { temporaryFolder } from '../support/temporary-folder.js';

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

test('the log goes on when a disk that was full for long has room again', async (t) => {
	const file = `${temporaryFolder(t)}/x.log`;
	const failures = new Set<string>();
	const onUnwritable = (code: string) => void failures.add(code);
	const { log } = createLog({ level: 'info', format: 'json', file, isTerminal: false, onUnwritable });
	const full = t.mock.method(fs, 'writeSync', () => {
		throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
	});
	// More than the mebibyte of lines that waits.
	const lines = 12_000;
	for (let i = 0; i < lines; i++) log.info({ line: i }, 'x'.repeat(100));
	full.mock.restore();
	await becomes(() => readFileSync(file, 'utf8').includes('"line":0'));
	log.info({ line: lines }, 'after');
	const logged = readFileSync(file, 'utf8').trimEnd().split('\n');
	const numbers = logged.map((text) => JSON.parse(text).line);
	assert.deepEqual(numbers, [...numbers.slice(0, -1).keys(), lines]);
	assert.ok(numbers.length > lines / 2 && numbers.length < lines);
	assert.deepEqual([...failures], ['ENOSPC']);
});
