import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownersOf } from '#src/relay/cluster.js';

const slots = (link: string, from: number, to: number) => ({ link, ranges: [{ from, to, master: { host: link, port: 1 } }] });
const at = (owners: readonly (string | undefined)[], ...wanted: number[]) => wanted.map((slot) => owners[slot]);

test('each slot belongs to the one server that claims it, and to none if no server does', () => {
	const owners = ownersOf([slots('a', 0, 9), slots('b', 10, 19)], []);
	assert.deepEqual(at(owners, 0, 9, 10, 19, 20), ['a', 'a', 'b', 'b', undefined]);
	assert.equal(owners.length, 16_384);
});

test('of two servers that claim a slot, the one that had it before keeps it', () => {
	for (const before of ['a', 'b']) {
		for (const own of [
			[slots('a', 5, 5), slots('b', 5, 5), slots('c', 5, 5)],
			[slots('c', 5, 5), slots('b', 5, 5), slots('a', 5, 5)],
		]) {
			assert.deepEqual(at(ownersOf(own, Array(6).fill(before)), 5), [before]);
		}
	}
});

test('a slot that two servers claim, and neither had before, belongs to none', () => {
	for (const before of [undefined, 'gone']) {
		const owners = ownersOf([slots('a', 0, 9), slots('b', 5, 9)], Array(10).fill(before));
		assert.deepEqual(at(owners, 4, 5, 9), ['a', undefined, undefined]);
	}
});
