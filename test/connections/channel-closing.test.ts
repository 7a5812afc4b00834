import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelCloser } from '#src/connections/channel-closing.js';
import { closes } from '#src/connections/closes.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import type { Close } from '#src/pubsub/close.js';
import { fakePeer, silentHub } from '../support/fake-peer.js';
import { TickPeak } from '../support/tick-peak.js';

test('however many channels are closed at once, a tick closes no more than 200 websockets', async () => {
	const hub = silentHub();
	const ends = new TickPeak();
	const names = Array.from({ length: 50 }, (_, i) => `/room/${i}` as ChannelName);
	for (const name of names) {
		for (let i = 0; i < 30; i++) {
			const end = (close: Close) => {
				assert.deepEqual(close, closes.channelClosed);
				ends.count();
				hub.leave(peer);
			};
			const { peer } = hub.join(name, fakePeer({ end }));
		}
	}
	const closeChannel = channelCloser(hub, ({ peer }) => peer.end(closes.channelClosed));
	const all = names.map((name) => closeChannel(hub.find(name) ?? assert.fail()));
	ends.watch(hub);
	await Promise.all(all);
	assert.deepEqual([hub.subscribers, hub.channels, ends.max], [0, 0, 200]);
});

test('a tick closes fewer, if there is much to be sent before their close frames', async () => {
	const hub = silentHub();
	const ends = new TickPeak();
	const name = '/room' as ChannelName;
	for (let i = 0; i < 30; i++) hub.join(name, fakePeer());
	const channel = hub.find(name) ?? assert.fail();
	const closeChannel = channelCloser(hub, ({ peer }) => {
		ends.count();
		const endMs = performance.now() + 2;
		while (performance.now() < endMs);
		hub.leave(peer);
	});
	ends.watch(hub);
	await closeChannel(channel);
	await new Promise(setImmediate);
	assert.ok(ends.max <= 5, `${ends.max} of 2 ms each`);
});
