import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { MemoryBudget } from '#src/operations/memory-budget.js';

test('over its budget it frees first, is full if that was not enough, and logs each change once', () => {
	const freed: number[] = [];
	const lines: string[] = [];
	const log = pino({}, { write: (line) => void lines.push(JSON.parse(line).msg) });
	let residentBytes: number | undefined;
	const memory = new MemoryBudget({
		bytesMax: 100,
		residentBytes: () => residentBytes,
		free: (bytes) => void freed.push(bytes),
		log,
	});
	// Undefined is not known: what was known before holds.
	const states = [90, 100, 101, 100, 130, 120, undefined, 110, 90].map((bytes) => {
		residentBytes = bytes;
		memory.look();
		return `${memory.isOver ? 'over' : 'within'}${memory.isFull ? ', full' : ''}`;
	});
	assert.deepEqual(states, ['within', 'within', 'over', 'within', 'over', 'over, full', 'over, full', 'over, full', 'within']);
	assert.deepEqual(freed, [1, 30, 20, 10]);
	assert.deepEqual(
		lines.map((line) => /^memory is (over|within)/.exec(line)?.[1]),
		['over', 'within', 'over', 'within'],
	);
});

test('without a budget nothing is ever over it', () => {
	const parts = { residentBytes: () => assert.fail(), free: () => assert.fail(), log: pino({ level: 'silent' }) };
	const memory = new MemoryBudget({ bytesMax: 0, ...parts });
	memory.look();
	assert.deepEqual([memory.isOver, memory.isFull], [false, false]);
});
