import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { InFlight } from '#src/http/in-flight.js';
import { Metrics } from '#src/observe/metrics.js';
import { boundPort, startOperatorListener } from '#src/operator/listener.js';
import { statsEndpoint } from '#src/operator/stats.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { fakePeer, silentHub } from '../support/fake-peer.js';
import { request } from '../support/http.js';

test('/stats counts a connection to two channels as one connection and two subscriptions', async (t) => {
	const hub = silentHub();
	const peer = fakePeer();
	for (const name of ['/room', '/other'] as ChannelName[]) hub.join(name, peer);
	const metrics = new Metrics({ refusalCauses: [], closeCauses: [], questionOutcomes: [], judgementOutcomes: [] });
	const endpoint = statsEndpoint(metrics, hub, { count: 1 }, () => 0, false);
	const address = { host: '127.0.0.1', port: 0 };
	const operator = await startOperatorListener(address, [], [endpoint], new InFlight(), pino({ enabled: false }));
	t.after(() => operator.close());
	const stats = JSON.parse((await request(boundPort(operator), { path: '/stats' })).body);
	assert.deepEqual([stats.connections, stats.channels, stats.subscriptions], [1, 2, 2]);
});
