import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import type { Close } from '#src/pubsub/close.js';
import { trustedMessage } from '#src/pubsub/message.js';
import type { Subscription } from '#src/pubsub/subscription.js';
import { CatchUp } from '#src/slow/catch-up.js';
import { fakePeer, silentHub } from '../support/fake-peer.js';

const bye: Close = { cause: 'operator', reason: 'bye' };

/** A subscriber of which the test decides what it has read. */
type Reader = {
	readonly subscription: Subscription;
	unreadBytes: number;
	/** Whether it takes at once what it is sent. */
	isFast: boolean;
	sent: number;
	/** How it was closed. */
	end: 'ended' | 'dropped' | undefined;
	isAttached: boolean;
};

/** Subscribers of one channel with 64 KiB unread. */
function crowd(count: number, unreadBytesMax: number) {
	const hub = silentHub(unreadBytesMax);
	const catchUp = new CatchUp(hub, unreadBytesMax);
	const readers = Array.from({ length: count }, () => {
		const close = (end: 'ended' | 'dropped') => {
			if (reader.end !== undefined) return;
			reader.end = end;
			catchUp.forget(reader.subscription.peer);
			hub.leave(reader.subscription.peer);
		};
		const peer = fakePeer({
			attach() {
				reader.isAttached = true;
				return true;
			},
			detach() {
				reader.isAttached = false;
			},
			unreadBytes: () => reader.unreadBytes,
			send({ bytes }) {
				reader.sent++;
				if (!reader.isFast) reader.unreadBytes += bytes.byteLength;
				return reader.isFast;
			},
			end: () => close('ended'),
			drop: () => close('dropped'),
		});
		const reader: Omit<Reader, 'subscription'> & { subscription: Subscription } = {
			subscription: undefined as unknown as Subscription,
			unreadBytes: 65_536,
			isFast: true,
			sent: 0,
			end: undefined,
			isAttached: false,
		};
		reader.subscription = hub.join('/room' as ChannelName, peer);
		return reader;
	});
	const publish = (messages: number, bytes: number) => {
		const channel = hub.find('/room' as ChannelName) ?? assert.fail();
		for (let i = 0; i < messages; i++) hub.deliver(channel, trustedMessage(Buffer.alloc(bytes), true, 'server'));
		hub.flush();
	};
	const read = (reader: Reader, bytes = reader.unreadBytes) => {
		reader.unreadBytes -= bytes;
		catchUp.onRead(reader.subscription.peer);
	};
	return { catchUp, readers, publish, read };
}

test('a subscriber with 64 KiB unread catches up, or with a quarter of the backlog; one with too much is dropped', () => {
	for (const [backlogBytesMax, enough] of [
		[1_048_576, 65_536],
		[8_192, 2_048],
	] as const) {
		const { catchUp, readers } = crowd(1, backlogBytesMax);
		const [reader = assert.fail()] = readers;
		catchUp.consider(reader.subscription.peer, enough - 1);
		// Nor while the fan-out does not reach it yet.
		reader.subscription.isReached = false;
		catchUp.consider(reader.subscription.peer, enough);
		reader.subscription.isReached = true;
		assert.equal(reader.subscription.position, undefined);
		catchUp.consider(reader.subscription.peer, enough);
		assert.notEqual(reader.subscription.position, undefined);
		catchUp.consider(reader.subscription.peer, backlogBytesMax);
		assert.equal(reader.end, undefined);
		catchUp.consider(reader.subscription.peer, backlogBytesMax + 1);
		assert.equal(reader.end, 'dropped');
	}
});

test('a slow subscriber is sent each message when it has read the one before, and has caught up when it has read the last', async () => {
	const { catchUp, readers, publish, read } = crowd(1, 1_048_576);
	const [reader = assert.fail()] = readers;
	reader.isFast = false;
	catchUp.consider(reader.subscription.peer, 65_536);
	publish(3, 1_000);
	for (let sent = 0; sent < 3; sent++) {
		read(reader, 500);
		await turn();
		assert.equal(reader.sent, sent);
		read(reader);
		await turn();
		assert.equal(reader.sent, sent + 1);
	}
	assert.notEqual(reader.subscription.position, undefined);
	assert.equal(reader.isAttached, false);
	read(reader);
	await turn();
	assert.equal(reader.subscription.position, undefined);
	assert.equal(reader.isAttached, true);
});

test('messages that are kept for many subscribers count once in what closing all of them frees', () => {
	const { catchUp, readers, publish } = crowd(8, 1_048_576);
	const freed = () => readers.reduce((sum, { subscription }) => sum + catchUp.freedBy(subscription.peer), 0);
	assert.equal(freed(), 8 * 65_536);
	for (const { subscription } of readers) catchUp.consider(subscription.peer, 65_536);
	publish(2, 10_000);
	assert.ok(readers.every(({ subscription }) => catchUp.unreadBytesOf(subscription.peer) === 65_536 + 2 * 10_064));
	assert.equal(freed(), 8 * 65_536 + 2 * 10_064);
});

test('a subscriber that is closed has room for everything before the close frame, or is dropped', () => {
	for (const [tooMuch, end] of [
		[0, 'ended'],
		[1, 'dropped'],
	] as const) {
		const { catchUp, readers, publish } = crowd(2, 131_072);
		const [behind = assert.fail(), other = assert.fail()] = readers;
		catchUp.consider(behind.subscription.peer, 65_536);
		publish(1, 1_000);
		behind.unreadBytes = 131_072 - 1_064 + tooMuch;
		other.unreadBytes = 131_072 + tooMuch;
		for (const { subscription } of readers) catchUp.endAtOnce(subscription.peer, bye);
		assert.deepEqual([behind.end, behind.sent, other.end], [end, 1 - tooMuch, end]);
	}
});

test('a tick sends the readers some 4 MiB, and none a second share before all have had the first', async () => {
	const { catchUp, readers, publish, read } = crowd(40, 64 * 1_048_576);
	for (const { subscription } of readers) catchUp.consider(subscription.peer, 65_536);
	publish(20, 300_000);
	for (const reader of readers) read(reader);
	const sent = () => readers.reduce((sum, reader) => sum + reader.sent, 0);
	while (sent() < 40 * 20) {
		const before = sent();
		await turn();
		assert.ok(sent() > before && sent() - before <= 4_194_304 / 300_000 + 1);
		const each = readers.map((reader) => reader.sent);
		assert.ok(Math.max(...each) - Math.min(...each) <= 1, each.join());
	}
	assert.ok(readers.every(({ subscription }) => subscription.position === undefined));
});

test('a subscriber for which nothing is kept any more is dropped even if it reads, or is closed, before its turn; a tick drops 200', async () => {
	for (const readsOn of [false, true]) {
		const { catchUp, readers, publish, read } = crowd(500, 131_072);
		for (const { subscription } of readers) catchUp.consider(subscription.peer, 65_536);
		publish(2, 60_000);
		assert.ok(readers.every(({ end }) => end === undefined));
		if (readsOn) for (const reader of readers) read(reader);
		const [closed = assert.fail()] = readers;
		catchUp.endAtOnce(closed.subscription.peer, bye);
		assert.equal(closed.end, 'dropped');
		for (const count of [200, 400, 500]) {
			await turn();
			assert.equal(readers.filter(({ end }) => end === 'dropped').length, count);
		}
		assert.ok(readers.every((reader) => reader.sent === 0));
	}
});

test('tiny messages count more than their bytes: a tick sends some 16,000 of them', async () => {
	const { catchUp, readers, publish, read } = crowd(50, 64 * 1_048_576);
	for (const { subscription } of readers) catchUp.consider(subscription.peer, 65_536);
	publish(2_000, 1);
	for (const reader of readers) read(reader);
	const sent = () => readers.reduce((sum, reader) => sum + reader.sent, 0);
	while (sent() < 50 * 2_000) {
		const before = sent();
		await turn();
		assert.ok(sent() > before && sent() - before <= (4_194_304 + 262_144) / 257 + 1);
	}
});

test('a subscriber that is closed while it catches up is fed as before, and closed when it has read everything that was published until then', async () => {
	const { catchUp, readers, publish, read } = crowd(3, 1_048_576);
	const [refused = assert.fail(), stopped = assert.fail(), other = assert.fail()] = readers;
	for (const { subscription } of [refused, stopped]) catchUp.consider(subscription.peer, 65_536);
	publish(5, 1_000);
	for (const { subscription } of readers) catchUp.endOnceRead(subscription.peer, { cause: 'rate', reason: 'too fast' });
	assert.deepEqual(
		readers.map(({ end, sent }) => [end, sent]),
		[
			[undefined, 0],
			[undefined, 0],
			['ended', 0],
		],
	);
	assert.equal(other.subscription.position, undefined);
	publish(5, 1_000);
	read(refused);
	await turn();
	assert.deepEqual([refused.end, refused.sent], ['ended', 5]);
	// A subscriber that reads nothing is judged as before.
	publish(16, 65_536);
	await turn();
	assert.deepEqual([stopped.end, stopped.sent], ['dropped', 0]);
});
