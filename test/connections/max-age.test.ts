import assert from 'node:assert/strict';
import { post } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

protocol('With `--max-age`, each websocket is closed with 1012 and a reason at that age, give or take 10 %.', async (t) => {
	const server = await startTestServer(t, '--max-age', '2s');
	const closings = Array.from({ length: 300 }, async (_, i) => {
		const startedMs = performance.now();
		const subscriber = await subscribe(t, server.ws(`/room/${i % 7}`));
		const openedMs = performance.now();
		assert.deepEqual(await subscriber.closed, { code: 1012, reason: 'the connection has reached --max-age; connect again' });
		const closedMs = performance.now();
		// It is younger than since it was begun, and older than since we saw it open.
		assert.ok(closedMs - startedMs > 1_800, `closed after ${closedMs - startedMs} ms`);
		assert.ok(closedMs - openedMs < 3_000, `closed after ${closedMs - openedMs} ms`);
		return closedMs;
	});
	const times = await Promise.all(closings);
	assert.ok(Math.max(...times) - Math.min(...times) > 200, 'not all at once');
	assert.equal(await metric(server, 'pathcast_disconnects_total{reason="age"}'), 300);
	await subscribe(t, server.ws('/room/1'));
	assert.equal((await post(server.port, '/room/1', 'x')).headers.get('x-subscribers'), '1');
});
