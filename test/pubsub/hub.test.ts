import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as tickEnd } from 'node:timers/promises';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { Hub } from '#src/pubsub/hub.js';
import { trustedMessage } from '#src/pubsub/message.js';
import { pacingLimits } from '#src/websocket/pacing-limits.js';
import { fakePeer } from '../support/fake-peer.js';

const room = '/room' as ChannelName;
const other = '/other' as ChannelName;

/** A hub whose fan-out is written down, and a way to publish text as the engine would hand it over. */
function recordedHub(unreadBytesMax = 1_048_576) {
	const out: string[] = [];
	const hub = new Hub(
		(name, { bytes }) => out.push(`${name} ${Buffer.from(bytes as Uint8Array)}`),
		() => {},
		pacingLimits(unreadBytesMax, false),
	);
	const publish = (name: ChannelName, text: string) => {
		const channel = hub.find(name);
		assert.ok(channel);
		const bytes = new TextEncoder().encode(text).buffer;
		hub.deliver(channel, trustedMessage(bytes, false, 'server'));
		// The engine takes its bytes back when the handler returns.
		new Uint8Array(bytes).fill(0);
	};
	return { hub, out, publish };
}

const someone = () => fakePeer();

const numbered = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => `${prefix} ${i}`);

test('a quiet channel is published to at once, a burst from the 31st message on at the end of the tick, in order', async () => {
	const { hub, out, publish } = recordedHub();
	hub.join(room, someone());
	for (let i = 0; i < 200; i++) publish(room, String(i));
	assert.deepEqual(out, numbered(30, '1'));
	await tickEnd();
	assert.deepEqual(out, numbered(200, '1'));
});

test('a channel that had a burst in the last tick is deferred from its first message on, until a quiet tick', async () => {
	const { hub, out, publish } = recordedHub();
	hub.join(room, someone());
	for (let i = 0; i < 40; i++) publish(room, 'burst');
	await tickEnd();
	out.length = 0;
	publish(room, 'hot');
	assert.deepEqual(out, []);
	await tickEnd();
	assert.deepEqual(out, ['1 hot']);
	publish(room, 'cool');
	assert.deepEqual(out, ['1 hot', '1 cool']);
});

test('one channel in a burst defers no other', () => {
	const { hub, out, publish } = recordedHub();
	hub.join(room, someone());
	hub.join(other, someone());
	for (let i = 0; i < 100; i++) publish(room, 'burst');
	publish(other, 'at once');
	assert.equal(out.at(-1), '2 at once');
});

test('channels of connections with several channels send thirty messages together at once in a tick, and hold up no other channel', async () => {
	const third = '/third' as ChannelName;
	const { hub, out, publish } = recordedHub();
	for (const name of [room, other]) hub.join(name, someone(), name);
	hub.join(third, someone());
	for (let i = 0; i < 20; i++) for (const name of [room, other]) publish(name, String(i));
	assert.deepEqual(out.toSorted(), [...numbered(15, '1'), ...numbered(15, '2')].toSorted());
	publish(third, 'at once');
	assert.equal(out.pop(), '3 at once');
	await tickEnd();
	const sentOf = (topic: string) => out.filter((line) => line.startsWith(topic));
	assert.deepEqual([sentOf('1'), sentOf('2')], [numbered(20, '1'), numbered(20, '2')]);
	publish(room, 'hot');
	assert.equal(out.length, 40);
	await tickEnd();
	assert.equal(out.length, 41);
	publish(other, 'cool');
	assert.equal(out.at(-1), '2 cool');
});

test('a subscriber that joins during a burst is reached behind it: it gets none of what came before, and all after it', async () => {
	const { hub, out, publish } = recordedHub();
	hub.join(room, someone());
	for (let i = 0; i < 50; i++) publish(room, 'before');
	hub.join(room, fakePeer({ attach: () => out.push('joined') > 0 }));
	for (let i = 0; i < 50; i++) publish(room, 'after');
	assert.deepEqual([out.length, hub.find(room)?.subscribers], [30, 2], 'a join sends nothing ahead of its time');
	await tickEnd();
	assert.deepEqual(out, [...Array(50).fill('1 before'), 'joined', ...Array(50).fill('1 after')]);
});

test('a join does not hurry a paced burst, and who leaves before its turn is not admitted', async (t) => {
	t.mock.timers.enable({ apis: ['setTimeout'] });
	const { hub, out, publish } = recordedHub(800);
	hub.join(room, someone());
	for (let i = 0; i < 6; i++) publish(room, 'x'.repeat(50));
	hub.leave(hub.join(room, fakePeer({ attach: () => false })).peer);
	await tickEnd();
	for (const expected of [2, 4, 6]) {
		assert.equal(out.length, expected);
		t.mock.timers.tick(10);
	}
	assert.equal(hub.deliveries, 6);
	assert.equal(hub.find(room)?.subscribers, 1);
});

test('tiny messages are paced too', async (t) => {
	t.mock.timers.enable({ apis: ['setTimeout'] });
	const { hub, out, publish } = recordedHub(64 * 400);
	hub.join(room, someone());
	for (let i = 0; i < 1_000; i++) publish(room, '');
	await tickEnd();
	assert.equal(out.length, 100);
});

test('so are many deliveries, tick by tick without a rest, in whole batches of the engine', async () => {
	const { hub, out, publish } = recordedHub(1_024 * 1_048_576);
	for (let i = 0; i < 4_000; i++) hub.join(room, someone());
	for (let i = 0; i < 150; i++) publish(room, String(i));
	assert.equal(out.length, 30);
	for (const expected of [64, 128, 150]) {
		await tickEnd();
		assert.equal(out.length, expected);
	}
	assert.deepEqual(out, numbered(150, '1'));
	assert.equal(hub.deferredBytes, 0);
});

test('no more than 400,000 of them are made in a tick, but for a single message to more', async () => {
	const { hub, out, publish } = recordedHub(1_024 * 1_048_576);
	for (let i = 0; i < 40_000; i++) hub.join(room, someone());
	for (let i = 0; i < 25; i++) publish(room, String(i));
	assert.equal(out.length, 10);
	await tickEnd();
	for (const expected of [20, 25]) {
		await tickEnd();
		assert.equal(out.length, expected);
	}
});

test('a burst of a lone subscriber goes out at once, until it has sent its share', async (t) => {
	t.mock.timers.enable({ apis: ['setTimeout'] });
	const { hub, out } = recordedHub(64 * 400);
	const { channel } = hub.join(room, someone());
	for (let i = 0; i < 150; i++) hub.deliver(channel, trustedMessage(Buffer.from(String(i)), false, 'server'), true);
	assert.equal(out.length, 98);
	await tickEnd();
	t.mock.timers.tick(10);
	assert.deepEqual(out, numbered(150, '1'));
});

test('messages that no subscriber is left to receive are dropped, and no later subscriber of the same path gets them', async () => {
	const { hub, out, publish } = recordedHub();
	const first = hub.join(room, someone());
	for (let i = 0; i < 50; i++) publish(room, 'before');
	hub.leave(first.peer);
	assert.equal(hub.find(room), undefined);
	hub.join(room, someone());
	await tickEnd();
	assert.equal(out.length, 30);
	publish(room, 'after');
	assert.equal(out.at(-1), '2 after');
});

test('a burst of many bytes goes out in shares with rests between, in order and with all that comes after it', async (t) => {
	t.mock.timers.enable({ apis: ['setTimeout'] });
	const { hub, out, publish } = recordedHub(800);
	hub.join(room, someone());
	for (let i = 0; i < 7; i++) publish(room, `${'x'.repeat(48)} ${i}`);
	const sent = () => out.map((text) => text.slice(-1)).join('');
	assert.equal(sent(), '01', 'a quarter of what a subscriber may lag behind');
	await tickEnd();
	await tickEnd();
	assert.equal(sent(), '01', 'it rests');
	publish(room, 'x 7');
	hub.join(other, someone());
	publish(other, 'another channel does not');
	assert.match(out.pop() ?? '', /another/);
	t.mock.timers.tick(10);
	assert.equal(sent(), '0123');
	t.mock.timers.tick(10);
	assert.equal(sent(), '012345');
	publish(room, 'x 8');
	assert.ok(hub.deferredBytes > 0);
	t.mock.timers.tick(10);
	assert.equal(sent(), '012345678');
	assert.equal(hub.deferredBytes, 0);
});

test('a burst beyond four times what a subscriber may lag behind is not kept in memory', async (t) => {
	t.mock.timers.enable({ apis: ['setTimeout'] });
	const { hub, out, publish } = recordedHub(100);
	hub.join(room, someone());
	for (let i = 0; i < 30; i++) publish(room, 'x'.repeat(100));
	assert.equal(out.length, 1);
	await tickEnd();
	assert.equal(out.length, 28, 'two are kept');
	for (let i = 0; i < 2; i++) t.mock.timers.tick(10);
	assert.equal(out.length, 30);
});

test('messages that have not gone out yet are counted in bytes, until they have, or no subscriber is left', async (t) => {
	t.mock.timers.enable({ apis: ['setTimeout'] });
	const { hub, publish } = recordedHub(800);
	const first = hub.join(room, someone());
	hub.join(other, someone());
	for (let i = 0; i < 6; i++) publish(room, 'x'.repeat(36));
	for (let i = 0; i < 3; i++) publish(other, 'x'.repeat(136));
	assert.deepEqual([first.channel.outbox?.deferredBytes, hub.deferredBytes], [4 * 100, 4 * 100 + 2 * 200]);
	await tickEnd();
	t.mock.timers.tick(10);
	assert.deepEqual([first.channel.outbox?.deferredBytes, hub.deferredBytes], [2 * 100, 2 * 100 + 200]);
	hub.leave(first.peer);
	assert.equal(hub.deferredBytes, 200);
	t.mock.timers.tick(10);
	assert.equal(hub.deferredBytes, 0);
});

test('deliveries are messages times subscribers at the time they go out', async () => {
	const { hub, publish } = recordedHub();
	const first = hub.join(room, someone());
	for (let i = 0; i < 40; i++) publish(room, 'x');
	assert.equal(hub.deliveries, 30);
	hub.join(room, someone());
	await tickEnd();
	assert.equal(hub.deliveries, 40, 'the deferred went to the one that was there');
	publish(room, 'x');
	await tickEnd();
	assert.equal(hub.deliveries, 42);
	hub.leave(first.peer);
	assert.deepEqual([hub.subscribers, hub.channels], [1, 1]);
});

test('a closing channel sends what was published, and no more; its name is free for another channel at once', async () => {
	const { hub, out, publish } = recordedHub();
	const first = hub.join(room, someone());
	const second = hub.join(room, someone());
	const old = first.channel;
	for (let i = 0; i < 50; i++) publish(room, 'before');
	hub.close(
		old,
		() => out.push('sent'),
		() => out.push('empty'),
	);
	assert.deepEqual([hub.find(room), hub.channels, hub.subscribers], [undefined, 0, 2]);
	const third = hub.join(room, someone());
	const next = third.channel;
	assert.notEqual(next, old);
	assert.equal(hub.find(room), next);
	publish(room, 'after');
	await tickEnd();
	assert.deepEqual(out, [...Array(30).fill('1 before'), '2 after', ...Array(20).fill('1 before'), 'sent']);
	hub.leave(first.peer);
	assert.equal(out.at(-1), 'sent');
	hub.leave(second.peer);
	assert.equal(out.at(-1), 'empty');
	assert.deepEqual([hub.find(room), hub.channels, hub.subscribers], [next, 1, 1]);
	hub.leave(third.peer);
	assert.equal(hub.join(room, someone()).channel.topic, '3');
});

test('a channel that is closed when nobody is left, or that all leave before it has sent all, is empty', async () => {
	const { hub, out, publish } = recordedHub();
	const first = hub.join(room, someone());
	for (let i = 0; i < 50; i++) publish(room, 'before');
	hub.close(
		first.channel,
		() => out.push('sent'),
		() => out.push('empty'),
	);
	hub.leave(first.peer);
	await tickEnd();
	assert.deepEqual(out, [...Array(30).fill('1 before'), 'empty']);
	hub.close(
		first.channel,
		() => out.push('sent'),
		() => out.push('empty again'),
	);
	assert.equal(out.at(-1), 'empty again');
	assert.deepEqual([hub.channels, hub.subscribers, hub.deferredBytes], [0, 0, 0]);
});
