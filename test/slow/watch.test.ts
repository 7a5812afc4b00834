import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '#src/connections/connection.js';
import { Connections } from '#src/connections/registry.js';
import type { Channel } from '#src/pubsub/channel.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import type { Peer } from '#src/pubsub/peer.js';
import type { Subscription } from '#src/pubsub/subscription.js';
import { SlowWatch } from '#src/slow/watch.js';
import { fakeConnection } from '../support/fake-peer.js';

/** A connection with so much unread, and its subscription. */
class Reader {
	looks = 0;
	sharedBytes = 0;
	readonly connection: Connection;
	readonly subscription: Subscription;
	constructor(
		public unreadBytes = 0,
		drop: (reader: Reader) => void = () => {},
	) {
		this.connection = fakeConnection({ drop: () => drop(this) });
		const links = { isReached: true, position: undefined, newer: undefined, older: undefined, sibling: undefined };
		this.subscription = { peer: this.connection, channel: {} as Channel, alias: '/' as ChannelName, ...links };
		this.connection.subscription = this.subscription;
	}
}

/** Readers that are watched, with those that were found to read nothing, or nothing for too long: these are dropped. */
function watched(count: number, writeTimeoutMs: number) {
	const connections = new Connections();
	const stalled: Reader[] = [];
	const readsNothing: (readonly [Reader, number])[] = [];
	const drop = (reader: Reader) => {
		stalled.push(reader);
		connections.remove(reader.connection.place ?? assert.fail());
		watch.forget(reader.connection);
	};
	const add = (reader: Reader) => {
		reader.connection.place = connections.add(reader.connection);
	};
	const all = Array.from({ length: count }, () => new Reader(0, drop));
	for (const reader of all) add(reader);
	const readers = new Map<Peer, Reader>(all.map((reader) => [reader.connection, reader]));
	const of = (peer: Peer) => readers.get(peer) ?? new Reader();
	const watch = new SlowWatch(connections, {
		writeTimeoutMs,
		catchUp: {
			unreadBytesOf(peer) {
				of(peer).looks++;
				return of(peer).unreadBytes;
			},
			freedBy: (peer) => of(peer).unreadBytes - of(peer).sharedBytes,
			consider: (peer, unreadBytes) => void readsNothing.push([of(peer), unreadBytes]),
			judge: () => assert.fail(),
		},
	});
	const leave = (reader: Reader) => {
		connections.remove(reader.connection.place ?? assert.fail());
		watch.forget(reader.connection);
	};
	return { add, leave, all, stalled, readsNothing, watch };
}

test('each look costs the same, however many subscribers there are and are slow, and comes to each in turn', () => {
	const { add, leave, all, watch } = watched(10_000, 0);
	const looks = () => all.reduce((sum, reader) => sum + reader.looks, 0);
	watch.look(0);
	assert.equal(looks(), 1_000);
	for (let i = 1; i < 10; i++) watch.look(100 * i);
	assert.ok(all.every((reader) => reader.looks === 1));

	for (const reader of all) reader.unreadBytes = 1;
	for (let i = 0; i < 11; i++) watch.look(1_000 + 100 * i);
	assert.equal(watch.count, 10_000);
	const before = looks();
	for (let i = 0; i < 100; i++) {
		// Connections that open and close meanwhile do not keep the others from their turn.
		const gone = all.shift() as Reader;
		leave(gone);
		add(new Reader());
		watch.look(3_000 + 100 * i);
	}
	assert.ok(looks() - before <= 200_000);
	assert.ok(all.every((reader) => reader.looks >= 10));
});

test('a subscriber that reads something from time to time is not dropped, one that reads nothing is', () => {
	const { all, stalled, watch } = watched(5, 10_000);
	const [idle, readsNothing, growing, sawtooth, late] = all as [Reader, Reader, Reader, Reader, Reader];
	readsNothing.unreadBytes = 5;
	for (let ms = 0; ms <= 60_000; ms += 100) {
		growing.unreadBytes += 1_000;
		sawtooth.unreadBytes = ms % 9_000 === 0 ? 1 : sawtooth.unreadBytes + 1_000;
		if (ms === 30_000) late.unreadBytes = 1;
		if (ms === 39_000) late.unreadBytes = 0;
		if (ms === 45_000) late.unreadBytes = 1;
		watch.look(ms);
		if (ms === 9_900) assert.deepEqual(stalled, []);
		if (ms === 10_000) assert.deepEqual(new Set(stalled), new Set([readsNothing, growing]));
		if (ms === 54_900) assert.equal(stalled.length, 2);
	}
	assert.deepEqual(new Set(stalled), new Set([readsNothing, growing, late]));
	assert.equal(watch.count, 1);
	assert.equal(watch.forget(idle.connection), undefined);
	assert.equal(watch.forget(sawtooth.connection)?.ip, '192.0.2.1');
});

test('with 0, no subscriber is dropped for reading nothing', () => {
	const { all, stalled, watch } = watched(1, 0);
	(all[0] as Reader).unreadBytes = 1;
	for (let ms = 0; ms < 10_000_000; ms += 10_000) watch.look(ms);
	assert.deepEqual([stalled.length, watch.count], [0, 1]);
});

test('while the server itself is held up, no subscriber’s time runs out', () => {
	const { all, stalled, watch } = watched(1, 10_000);
	(all[0] as Reader).unreadBytes = 1;
	watch.look(0);
	watch.look(3_600_000);
	assert.equal(stalled.length, 0);
	for (let ms = 3_600_000; ms <= 3_609_000; ms += 100) watch.look(ms);
	assert.equal(stalled.length, 1);
});

test('the subscribers with the most unread are those that make up for what is too much, but not small ones, nor very many', () => {
	const { all, watch } = watched(1_000, 0);
	for (const [i, reader] of all.entries()) reader.unreadBytes = 65_535 - 400 + i;
	for (const i of [100, 200, 300]) (all[i] as Reader).unreadBytes = 1_000_000 * i;
	watch.look(0);
	const largest = (bytes: number) => watch.largest(bytes).map((found) => all.findIndex(({ connection }) => connection === found));
	assert.deepEqual(largest(0), []);
	assert.deepEqual(largest(1), [300]);
	assert.deepEqual(largest(300_000_001), [300, 200]);
	assert.deepEqual(largest(600_000_001), [300, 200, 100, 999]);
	// Others wait for half of the largest one.
	(all[300] as Reader).sharedBytes = 150_000_000;
	assert.deepEqual(largest(150_000_001), [300, 200]);
	assert.equal(largest(Number.MAX_SAFE_INTEGER).length, 200);
	for (const reader of all) reader.unreadBytes = 65_535;
	watch.look(100);
	assert.deepEqual(largest(Number.MAX_SAFE_INTEGER), []);
});

test('a subscriber may have to catch up that has no less unread than at the look before', () => {
	const { all, readsNothing, watch } = watched(3, 0);
	const [reading, stopped, late] = all as [Reader, Reader, Reader];
	reading.unreadBytes = 3_000;
	stopped.unreadBytes = 1_000;
	for (let ms = 0; ms <= 200; ms += 100) {
		watch.look(ms);
		reading.unreadBytes -= 1_000;
		stopped.unreadBytes += ms;
		late.unreadBytes = 500;
	}
	const seen = (reader: Reader) => readsNothing.filter(([one]) => one === reader).map(([, unreadBytes]) => unreadBytes);
	assert.deepEqual([seen(reading), seen(stopped), seen(late)], [[], [1_000, 1_100], [500]]);
});

test('a look drops no more than 200, and the next ones the others', () => {
	const { all, stalled, watch } = watched(1_000, 1_000);
	for (const reader of all) reader.unreadBytes = 1;
	for (let ms = 0; ms < 1_000; ms += 100) watch.look(ms);
	for (let closed = 200; closed <= 1_000; closed += 200) {
		watch.look(1_000 + closed);
		assert.equal(stalled.length, closed);
	}
	assert.equal(watch.count, 0);
});
