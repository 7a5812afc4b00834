import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { NameMap, partCount, partOf } from '#src/pubsub/name-map.js';
import { seededRandom } from '../support/random.js';

test('a name map holds what a map does', (t) => {
	const random = seededRandom(t);
	const [names, map] = [new NameMap<number>(), new Map<ChannelName, number>()];
	for (let i = 0; i < 10_000; i++) {
		const name = `/${random.below(500)}` as ChannelName;
		assert.equal(names.get(name), map.get(name));
		if (map.has(name)) {
			names.delete(name);
			map.delete(name);
		} else {
			names.add(name, i);
			map.set(name, i);
		}
		assert.equal(names.size, map.size);
	}
});

test('names that differ in any place are spread evenly over its parts', () => {
	const patterns: ((i: number) => string)[] = [
		(i) => `/room/${i}`,
		(i) => `/${i}/inbox/of/a/user`,
		(i) => `/${'x'.repeat(200)}/${i.toString(16)}`,
		(i) => `/${String.fromCodePoint(0x4e00 + (i % 20_000), 0x1f600 + Math.floor(i / 20_000))}`,
	];
	for (const pattern of patterns) {
		const counts = new Map<number, number>();
		for (let i = 0; i < 100 * partCount; i++) {
			const part = partOf(pattern(i));
			counts.set(part, (counts.get(part) ?? 0) + 1);
		}
		const most = Math.max(...counts.values());
		assert.ok(counts.size === partCount && most < 200, `${pattern(0)}: ${most} in one of ${counts.size}`);
	}
});
