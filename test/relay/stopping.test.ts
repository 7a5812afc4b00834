// Stopping while messages wait for the relay.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openClient } from '../support/clients.js';
import { post } from '../support/http.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { metricBecomes } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { freeze, startSharing } from './support/sharing.js';

const stopping = '1012 the server is restarting; connect again';

test('a server that stops delivers what its clients have published before, and then closes them', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [a, b] = await startSharing(t, redis, 2, '--relay-timeout', '60s');
	const clients = [await openClient(t, 'websocket', a, '/room'), await openClient(t, 'event stream', a, '/room')];
	const [sender, bob] = [await subscribe(t, a.ws('/room')), await subscribe(t, b.ws('/room'))];
	const goOn = await freeze(redis);
	const texts = Array.from({ length: 100 }, (_, i) => String(i));
	for (const text of texts) sender.send(text);
	const posted = post(a.port, '/room', 'by POST');
	const bytes = [...texts, 'by POST'].reduce((sum, text) => sum + text.length + 64, 0);
	await metricBecomes(a, 'pathcast_relay_waiting_bytes', bytes);
	const stopped = a.stop();
	goOn();
	assert.equal((await posted).status, 200);
	await stopped;
	const expected = [...texts, 'by POST'].sort();
	for (const client of clients) {
		assert.deepEqual((await client.textsUntilEnd()).sort(), expected);
		assert.ok([stopping, 'ended'].includes(await client.end));
	}
	assert.deepEqual((await bob.texts(101)).sort(), expected);
});

test('a server that stops closes its clients, though the relay does not answer', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--relay-timeout', '60s');
	const clients = [await openClient(t, 'websocket', server, '/room'), await openClient(t, 'event stream', server, '/room')];
	await freeze(redis);
	await server.stop();
	for (const { end } of clients) assert.ok([stopping, 'ended'].includes(await end));
	assert.ok(!server.log.some(({ event, reason }) => event === 'relay' && reason !== undefined), 'the relay is not given up yet');
});
