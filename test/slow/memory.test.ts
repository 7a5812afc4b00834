import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { MemoryBudget } from '#src/slow/memory.js';

test('over its budget it frees first, is full if that was not enough, and logs each change once', () => {
	const freed: number[] = [];
	const lines: string[] = [];
	const log = pino({}, { write: (line) => void lines.push(JSON.parse(line).msg) });
	let residentBytes: number | undefined;
	const memory = new MemoryBudget({
		bytesMax: 100,
		residentBytes: () => residentBytes,
		connections: () => 3,
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
	const parts = {
		residentBytes: () => assert.fail(),
		connections: () => 0,
		free: () => assert.fail(),
		log: pino({ level: 'silent' }),
	};
	const memory = new MemoryBudget({ bytesMax: 0, ...parts });
	memory.look();
	assert.deepEqual([memory.isOver, memory.isFull], [false, false]);
});

test('while memory that a crowd has given back is not returned, as many as the crowd was are let in', () => {
	const freed: number[] = [];
	let residentBytes = 1_000;
	let websockets = 0;
	const memory = new MemoryBudget({
		bytesMax: 1_000,
		residentBytes: () => residentBytes,
		connections: () => websockets,
		free: (bytes) => void freed.push(bytes),
		log: pino({ level: 'silent' }),
	});
	const look = (bytes: number, count: number): string => {
		[residentBytes, websockets] = [bytes, count];
		memory.look();
		return `${memory.isOver ? 'over' : 'room'}${memory.isFull ? ', full' : ''}`;
	};
	assert.deepEqual([look(1_200, 10), look(1_200, 10)], ['over', 'over, full']);
	// The crowd leaves, and others come, in its memory.
	assert.deepEqual([look(1_200, 0), look(1_205, 9), look(1_210, 10)], ['room', 'room', 'over, full']);
	// With fewer it grows: these are as many as fit.
	assert.deepEqual([look(1_211, 6), look(1_211, 5), look(1_211, 6)], ['over, full', 'room', 'over, full']);
	assert.deepEqual(freed, [200, 200, 210, 211, 211]);
	// It is within the budget again, and fills anew.
	assert.deepEqual([look(1_000, 6), look(1_001, 20), look(1_001, 19)], ['room', 'over', 'room']);
});
