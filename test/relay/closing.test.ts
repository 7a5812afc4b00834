// Closing by way of the relay: each close comes after everything that was published before it, on every server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openClient } from '../support/clients.js';
import { post, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { metric, metricBecomes, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { startFakeRedis } from './support/fake-redis.js';
import { freeze, readinessBecomes, startSharing, subscriptionsBecome } from './support/sharing.js';

const closed = '1000 the channel was closed';
const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));

async function remove({ operatorPort }: TestServer, path: string, body?: string): Promise<[number, unknown]> {
	const given = body === undefined ? {} : { body };
	const answer = await request(operatorPort, { method: 'DELETE', path: `/channels${path}`, ...given });
	return [answer.status, answer.status === 200 ? JSON.parse(answer.body) : answer.body.trim()];
}

protocol(
	'With `--relay`, a DELETE closes the subscribers of all servers after everything that was published before; it answers how many it has closed on this server, and how many servers and other clients listened: `{"scope":"node","closed":2,"nodes":2}`; 404 if nobody listened anywhere.',
	async (t) => {
		const redis = await startRedis(t);
		const [a, b] = await startSharing(t, redis, 2);
		assert.deepEqual(await remove(a, '/room'), [404, 'Nobody is subscribed to this channel.']);
		const clients = [
			await openClient(t, 'websocket', a, '/room'),
			await openClient(t, 'event stream', a, '/room'),
			await openClient(t, 'websocket', b, '/room'),
			await openClient(t, 'event stream', b, '/room'),
		];
		for (const i of numbers(20)) await post(b.port, '/room', i);
		assert.deepEqual(await remove(a, '/room', 'bye'), [200, { scope: 'node', closed: 2, nodes: 2 }]);
		for (const client of clients) {
			assert.deepEqual(await client.textsUntilEnd(), [...numbers(20), 'bye']);
			assert.ok([closed, 'ended'].includes(await client.end));
		}
		await metricBecomes(b, 'pathcast_disconnects_total{reason="operator"}', 2);
		const again = await subscribe(t, b.ws('/room'));
		await post(a.port, '/room', 'a new channel');
		assert.equal(await again.nextText(), 'a new channel');
	},
	needsRedis,
);

test('a DELETE comes between the messages before it and after it, on every server', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [a, b] = await startSharing(t, redis, 2, '--relay-timeout', '60s');
	const [alice, bob] = [await subscribe(t, a.ws('/room')), await subscribe(t, b.ws('/room'))];
	const goOn = await freeze(redis);
	for (const i of numbers(500)) alice.send(i);
	const waiting = numbers(500).reduce((bytes, text) => bytes + text.length + 64, 0);
	await metricBecomes(a, 'pathcast_relay_waiting_bytes', waiting);
	const removing = remove(a, '/room');
	// The subscribers are counted, and the channel is closed.
	const deletion = 64 + 2 + 64;
	await metricBecomes(a, 'pathcast_relay_waiting_bytes', waiting + deletion);
	for (let i = 0; i < 100; i++) alice.send('after the DELETE');
	await metricBecomes(a, 'pathcast_relay_waiting_bytes', waiting + deletion + 100 * ('after the DELETE'.length + 64));
	goOn();
	assert.deepEqual(await removing, [200, { scope: 'node', closed: 1, nodes: 2 }]);
	for (const subscriber of [alice, bob]) assert.deepEqual(await subscriber.textsUntilClosed(1000), numbers(500));
});

test('a DELETE on a server without subscribers closes those of the others', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [a, b] = await startSharing(t, redis, 2);
	const bob = await subscribe(t, b.ws('/room'));
	assert.deepEqual(await remove(a, '/room', 'bye'), [200, { scope: 'node', closed: 0, nodes: 1 }]);
	assert.deepEqual(await bob.textsUntilClosed(1000), ['bye']);
	const answer = await request(a.operatorPort, { path: '/channels/room' });
	assert.equal(answer.status, 404);
	assert.match(answer.body, /on this server; other servers share it/);
});

test('a DELETE is refused with 503 while the relay is away, and closes nothing', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--relay-timeout', '60s');
	const subscriber = await subscribe(t, server.ws('/room'));
	await redis.run('CONFIG', 'SET', 'min-replicas-to-write', '1');
	assert.equal((await remove(server, '/room'))[0], 503);
	await redis.run('CONFIG', 'SET', 'min-replicas-to-write', '0');
	await post(server.port, '/room', 'still here');
	assert.equal(await subscriber.nextText(), 'still here');
});

protocol(
	'A close frame for what a client has sent comes after everything that this client has published before has come back from the relay.',
	async (t) => {
		const redis = await startRedis(t);
		const [a, b] = await startSharing(t, redis, 2, '--max-message', '1000', '--relay-timeout', '60s');
		const [alice, bob] = [await subscribe(t, a.ws('/room')), await subscribe(t, b.ws('/room'))];
		const goOn = await freeze(redis);
		for (const i of numbers(200)) alice.send(i);
		alice.send('x'.repeat(1_001));
		alice.send('after the refusal');
		const bytes = numbers(200).reduce((sum, text) => sum + text.length + 64, 0);
		await metricBecomes(a, 'pathcast_relay_waiting_bytes', bytes);
		goOn();
		assert.deepEqual(await alice.textsUntilClosed(1009), numbers(200));
		assert.deepEqual(await bob.texts(200), numbers(200));
		await post(b.port, '/room', 'sentinel');
		assert.equal(await bob.nextText(), 'sentinel');
		assert.equal(await metric(a, 'pathcast_disconnects_total{reason="too_long"}'), 1);
	},
	needsRedis,
);

protocol(
	'A subscriber that may have missed messages of the relay is closed with 1012 and a reason, or its event stream is ended, and gets nothing after the gap.',
	async (t) => {
		const redis = await startRedis(t);
		const [server] = await startSharing(t, redis, 1);
		const clients = [await openClient(t, 'websocket', server, '/room'), await openClient(t, 'event stream', server, '/room')];
		await post(server.port, '/room', 'before');
		await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
		for (const client of clients) {
			assert.deepEqual(await client.textsUntilEnd(), ['before']);
			const end = '1012 the relay was lost, and messages may be missed; connect again';
			assert.ok([end, 'ended'].includes(await client.end));
		}
		assert.equal(await metric(server, 'pathcast_relay_gaps_total'), 1);
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="relay"}'), 2);
		const { channels, subscribers } = server.log.find(({ channels }) => channels !== undefined) ?? {};
		assert.deepEqual([channels, subscribers], [1, 2]);
		await subscriptionsBecome(redis, '/room', 0);
	},
	needsRedis,
);

test('a DELETE closes its channel also if its body is as long as all that may wait', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--max-message', '1024', '--max-backlog', '1024');
	const subscriber = await subscribe(t, server.ws('/room'));
	assert.deepEqual(await remove(server, '/room', 'x'.repeat(1_024)), [200, { scope: 'node', closed: 1, nodes: 1 }]);
	assert.deepEqual(await subscriber.textsUntilClosed(1000), ['x'.repeat(1_024)]);
});

test('a /close whose message the relay takes, and whose close it refuses, is refused with 503', async (t) => {
	const fake = await startFakeRedis(t);
	fake.slots = [{ from: 0, to: 16_383, port: fake.port }];
	const [server] = await startSharing(t, { url: `redis://127.0.0.1:${fake.port}` }, 1, '--relay-timeout', '60s');
	await readinessBecomes(server, 200);
	fake.instead.set('PUBLISH', [':1\r\n', '-NOREPLICAS Not enough good replicas to write.\r\n']);
	const headers = { 'X-Channel': '/room' };
	const answer = await request(server.operatorPort, { method: 'POST', path: '/close', headers, body: 'bye' });
	assert.deepEqual([answer.status, JSON.parse(answer.body).result], [503, 'NG']);
});
