import assert from 'node:assert/strict';
import { test } from 'node:test';
import { post, request } from '../support/http.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

test("the operator's listener serves metrics, health and readiness, and nothing of the public side", async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	await post(server.port, '/room', 'x');
	await post(server.port, '/nobody', 'x');
	assert.equal(await subscriber.nextText(), 'x');
	const expected = {
		pathcast_subscribers: 1,
		pathcast_channels: 1,
		pathcast_connections_opened_total: 1,
		'pathcast_messages_received_total{source="post"}': 2,
		'pathcast_messages_received_total{source="websocket"}': 0,
		pathcast_deliveries_total: 1,
		pathcast_keepalives_total: 0,
	};
	for (const [name, value] of Object.entries(expected)) assert.equal(await metric(server, name), value, name);
	const metrics = await request(server.operatorPort, { path: '/metrics' });
	assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
	for (const path of ['/healthz', '/readyz']) {
		const { status, body } = await request(server.operatorPort, { path });
		assert.deepEqual([status, body], [200, 'OK\n']);
	}
	assert.equal((await request(server.operatorPort, { path: '/room' })).status, 404);
	assert.equal((await request(server.operatorPort, { path: '/__proto__' })).status, 404);
	assert.equal((await request(server.operatorPort, { path: '/metrics', method: 'POST', body: 'x' })).status, 405);
	assert.match((await request(server.port, { path: '/metrics' })).body, /<title>pathcast/, 'the public side has channels only');
});
