import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Closing } from '#src/connections/closing.js';
import type { Connection } from '#src/connections/connection.js';
import { Gaps } from '#src/connections/gaps.js';
import { Connections } from '#src/connections/registry.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { CatchUp } from '#src/slow/catch-up.js';
import { fakeConnection, silentHub } from '../support/fake-peer.js';

test('a gap that comes in parts is spread, though each part is small', async () => {
	const hub = silentHub();
	const connections = new Connections();
	const gaps = new Gaps(hub, new Closing(hub, connections, new CatchUp(hub, 1_048_576)), 3_600_000);
	const closed = { '/a': 0, '/b': 0 };
	for (const name of ['/a', '/b'] as const) {
		for (let i = 0; i < 150; i++) {
			const connection: Connection = fakeConnection({
				end() {
					closed[name]++;
					hub.leave(connection);
				},
			});
			hub.join(name as ChannelName, connection);
		}
	}
	const giveUp = (name: '/a' | '/b') => gaps.giveUp([hub.find(name as ChannelName) ?? assert.fail()]);
	assert.equal(giveUp('/a'), 150);
	while (closed['/a'] < 150) await new Promise(setImmediate);
	assert.equal(giveUp('/b'), 150);
	for (let tick = 0; tick < 100; tick++) await new Promise(setImmediate);
	assert.equal(closed['/b'], 0, 'they have an hour');
	assert.equal(hub.find('/b' as ChannelName), undefined);
});
