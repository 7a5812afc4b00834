import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelCloser } from '#src/connections/channel-closing.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import type { Close } from '#src/pubsub/close.js';
import { channelClosed } from '#src/websocket/rules.js';
import { fakePeer, silentHub } from '../support/fake-peer.js';

test('however many channels are closed at once, a tick closes no more than 200 websockets', async () => {
	const hub = silentHub();
	let endsThisTick = 0;
	let endsMax = 0;
	const names = Array.from({ length: 50 }, (_, i) => `/room/${i}` as ChannelName);
	for (const name of names) {
		for (let i = 0; i < 30; i++) {
			const end = (close: Close) => {
				assert.deepEqual(close, channelClosed);
				endsThisTick++;
				hub.leave(subscription);
			};
			const subscription = hub.join(name, fakePeer({ end }));
		}
	}
	const closeChannel = channelCloser(hub, ({ peer }) => peer.end(channelClosed));
	const watch = () => {
		endsMax = Math.max(endsMax, endsThisTick);
		endsThisTick = 0;
		if (hub.subscribers > 0) setImmediate(watch);
	};
	const all = names.map((name) => closeChannel(hub.find(name) ?? assert.fail()));
	watch();
	await Promise.all(all);
	assert.deepEqual([hub.subscribers, hub.channels, endsMax], [0, 0, 200]);
});

test('a tick closes fewer, if there is much to be sent before their close frames', async () => {
	const hub = silentHub();
	let endsThisTick = 0;
	let endsMax = 0;
	const name = '/room' as ChannelName;
	for (let i = 0; i < 30; i++) hub.join(name, fakePeer());
	const channel = hub.find(name) ?? assert.fail();
	const closeChannel = channelCloser(hub, (subscription) => {
		endsThisTick++;
		const endMs = performance.now() + 2;
		while (performance.now() < endMs);
		hub.leave(subscription);
	});
	const watch = () => {
		endsMax = Math.max(endsMax, endsThisTick);
		endsThisTick = 0;
		if (hub.subscribers > 0) setImmediate(watch);
	};
	watch();
	await closeChannel(channel);
	await new Promise(setImmediate);
	assert.ok(endsMax <= 5, `${endsMax} of 2 ms each`);
});
