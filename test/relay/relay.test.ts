import assert from 'node:assert/strict';
import { test } from 'node:test';
import { post, request } from '../support/http.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

test('what is published on one node reaches the subscribers of another, and the sender', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [a, b] = [await startTestServer(t, '--relay', redis.url), await startTestServer(t, '--relay', redis.url)];
	const [alice, bob] = [await subscribe(t, a.ws('/room')), await subscribe(t, b.ws('/room'))];
	alice.send('from alice');
	assert.deepEqual([await alice.nextText(), await bob.nextText()], ['from alice', 'from alice']);
	const { status, headers } = await post(b.port, '/room', 'by POST');
	assert.deepEqual([status, headers.get('x-nodes'), headers.get('x-subscribers')], [200, '2', undefined]);
	assert.deepEqual([await alice.nextText(), await bob.nextText()], ['by POST', 'by POST']);
});

test('a lost connection to the relay closes every subscriber with 1012', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const server = await startTestServer(t, '--relay', redis.url);
	const subscriber = await subscribe(t, server.ws('/room'));
	await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
	const { code, reason } = await subscriber.closed;
	assert.deepEqual([code, reason], [1012, 'the relay was lost, and messages may be missed; connect again']);
	while ((await request(server.operatorPort, { path: '/readyz' })).status !== 200);
	const again = await subscribe(t, server.ws('/room'));
	again.send('here again');
	assert.equal(await again.nextText(), 'here again');
});
