import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics, metricsExposition } from '#src/observe/metrics.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { fakePeer, silentHub } from '../support/fake-peer.js';
import { post, request } from '../support/http.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

test('refusals and disconnects are counted by reason, bytes in and out, and messages that nobody heard', async (t) => {
	const server = await startTestServer(t, '--origin', 'https://example.com', '--max-message', '1KiB');
	const [port, ws] = [server.port, server.ws('/room')];
	for (const path of ['/%', '/%ff']) await post(port, path, 'x');
	await post(port, '/room', 'x', { Origin: 'https://evil.example' });
	await post(port, '/room', 'x'.repeat(1_025));
	await post(port, '/room', Buffer.from([0xff]));
	await post(port, '/room', 'x', { 'If-Match': '*' });
	await request(port, { method: 'DELETE' });
	await request(port, { headers: { Upgrade: 'websocket' } });
	await request(port, { headers: { 'Transfer-Encoding': 'gzip' } });
	await post(port, '/nobody', 'éé');

	const [first, second, binary, tooLong, lost] = await Promise.all([1, 2, 3, 4, 5].map(() => subscribe(t, ws)));
	binary?.send(Buffer.from('x'));
	assert.equal((await binary?.closed)?.code, 1003);
	tooLong?.send('x'.repeat(1_025));
	assert.equal((await tooLong?.closed)?.code, 1009);
	lost?.ws.terminate();
	await lost?.closed;
	await second?.close();
	first?.send('abc');
	assert.equal(await first?.nextText(), 'abc');

	const expected = {
		'pathcast_refusals_total{reason="path"}': 2,
		'pathcast_refusals_total{reason="origin"}': 1,
		'pathcast_refusals_total{reason="size"}': 1,
		'pathcast_refusals_total{reason="body"}': 1,
		'pathcast_refusals_total{reason="nobody"}': 1,
		'pathcast_refusals_total{reason="method"}': 1,
		'pathcast_refusals_total{reason="handshake"}': 1,
		'pathcast_refusals_total{reason="framing"}': 1,
		'pathcast_refusals_total{reason="stopping"}': 0,
		'pathcast_refusals_total{reason="fault"}': 0,
		'pathcast_disconnects_total{reason="binary"}': 1,
		'pathcast_disconnects_total{reason="too_long"}': 1,
		'pathcast_disconnects_total{reason="lost"}': 1,
		'pathcast_disconnects_total{reason="client"}': 1,
		'pathcast_disconnects_total{reason="receive_only"}': 0,
		'pathcast_disconnects_total{reason="operator"}': 0,
		pathcast_messages_unheard_total: 1,
		pathcast_received_bytes_total: 7,
		pathcast_delivered_bytes_total: 3,
		pathcast_connections: 1,
		pathcast_subscribers: 1,
	};
	for (const [name, value] of Object.entries(expected)) assert.equal(await metric(server, name), value, name);
	const { body } = await request(server.operatorPort, { path: '/metrics' });
	assert.match(body, /^nodejs_eventloop_lag_p99_seconds [0-9.e-]+$/m);
	assert.match(body, /^process_resident_memory_bytes [0-9]+$/m);
	assert.doesNotMatch(body, /room/, 'no label per channel');
});

test('counts are not doubled by a second scrape', async (t) => {
	const server = await startTestServer(t);
	await post(server.port, '/room', 'x');
	for (let i = 0; i < 3; i++) assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 1);
});

test('a connection to two channels is one connection and two subscribers', async () => {
	const hub = silentHub();
	const peer = fakePeer();
	for (const name of ['/room', '/other'] as ChannelName[]) hub.join(name, peer);
	const metrics = new Metrics({ refusalCauses: [], closeCauses: [], questionOutcomes: [], judgementOutcomes: [] });
	const none = () => 0;
	const text = await metricsExposition(metrics, hub, {
		isReady: () => true,
		maxConnections: 10,
		connections: () => 1,
		slow: none,
		waitingForHooks: { questions: none, messages: none, callbacks: none },
		relay: undefined,
		memoryBudget: 0,
	}).expose();
	assert.match(text, /^pathcast_connections 1$/m);
	assert.match(text, /^pathcast_subscribers 2$/m);
});

test('the relay is up without --relay, and else its messages, channels and gaps are counted', needsRedis, async (t) => {
	assert.equal(await metric(await startTestServer(t), 'pathcast_relay_up'), 1);
	const redis = await startRedis(t);
	const server = await startTestServer(t, '--relay', redis.url);
	const figures = async (...names: string[]) => Promise.all(names.map((name) => metric(server, `pathcast_relay_${name}`)));
	const all = ['up', 'channels', 'waiting_bytes', 'messages_total{direction="out"}', 'messages_total{direction="in"}'];
	assert.deepEqual(await figures(...all, 'gaps_total', 'dropped_total'), [1, 0, 0, 0, 0, 0, 0]);
	const subscriber = await subscribe(t, server.ws('/room'));
	for (const path of ['/room', '/nobody']) await post(server.port, path, 'hello');
	await redis.run('SPUBLISH', 'pathcast:/room', Buffer.from([0xff]));
	await redis.run('SPUBLISH', 'pathcast:/room', 'by Redis');
	await subscriber.texts(2);
	assert.deepEqual(await figures(...all, 'gaps_total', 'dropped_total'), [1, 1, 0, 2, 2, 0, 1]);
	assert.ok((await metric(server, 'pathcast_relay_round_trip_seconds_count')) > 0);
	await redis.kill();
	await subscriber.closed;
	assert.deepEqual(await figures('up', 'channels', 'gaps_total'), [0, 0, 1]);
});
