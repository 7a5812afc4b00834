import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChannelPresence } from '#src/hooks/channel-presence.js';
import type { Channel } from '#src/pubsub/channel.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { fakePeer, silentHub } from '../support/fake-peer.js';

/** A hub whose channels are watched, and what was told of them. */
function watched(absenceMs: number, absentMax = 1_000) {
	const hub = silentHub();
	const told: string[] = [];
	let wake = () => {};
	const presence = new ChannelPresence({
		onOpened: (name) => void told.push(`opened ${name}`),
		onClosed(name, timeMs) {
			assert.ok(timeMs <= Date.now() && timeMs > Date.now() - 60_000);
			told.push(`closed ${name}`);
			wake();
		},
		absenceMs,
		absentMax,
	});
	return {
		hub,
		told,
		presence,
		/** Subscribes, and gives what leaves again. */
		join(name: string): () => void {
			const peer = fakePeer();
			const { channel } = hub.join(name as ChannelName, peer);
			presence.joined(channel);
			return () => {
				hub.leave(peer);
				presence.left(channel);
			};
		},
		closed: (count: number) =>
			new Promise<void>((resolve) => {
				wake = () => told.filter((text) => text.startsWith('closed')).length === count && resolve();
			}),
	};
}

function takeName(hub: ReturnType<typeof watched>['hub'], name: string): Channel {
	const channel = hub.find(name as ChannelName) ?? assert.fail();
	hub.close(
		channel,
		() => {},
		() => {},
	);
	return channel;
}

test('a channel opens with its first subscriber, and closes when none has come back for a while', async () => {
	const { join, told, closed } = watched(30);
	const leaves = [join('/a'), join('/a'), join('/b')];
	for (const leave of leaves) leave();
	join('/a')();
	const stay = join('/b');
	await closed(1);
	stay();
	await closed(2);
	assert.deepEqual(told, ['opened /a', 'opened /b', 'closed /a', 'closed /b']);
});

test('a channel that lost its name closes with its last subscriber, unless a new one has the name', () => {
	const { hub, join, told, presence } = watched(0);
	presence.finish();
	const leaveOld = [join('/a'), join('/a')];
	const old = takeName(hub, '/a');
	const leaveNew = join('/a');
	assert.notEqual(hub.find('/a' as ChannelName), old);
	for (const leave of leaveOld) leave();
	assert.deepEqual(told, ['opened /a']);
	leaveNew();
	assert.deepEqual(told, ['opened /a', 'closed /a']);

	const leaveThird = join('/a');
	takeName(hub, '/a');
	join('/a')();
	assert.deepEqual(told.slice(2), ['opened /a'], 'the new one has gone, the old one is there');
	leaveThird();
	assert.deepEqual(told.slice(2), ['opened /a', 'closed /a']);
});

test('of very many closed channels the oldest are told early, and the end tells all', () => {
	const { join, told, presence } = watched(3_600_000, 100);
	for (let i = 0; i < 105; i++) join(`/${i}`)();
	const closed = () => told.filter((text) => text.startsWith('closed'));
	assert.deepEqual(
		closed(),
		Array.from({ length: 10 }, (_, i) => `closed /${i}`),
	);
	presence.finish();
	assert.equal(closed().length, 105);
	join('/late')();
	assert.deepEqual(told.slice(-2), ['opened /late', 'closed /late']);
});
