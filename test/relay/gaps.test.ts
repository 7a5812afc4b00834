import assert from 'node:assert/strict';
import { test } from 'node:test';
import { post, request } from '../support/http.js';
import { needsRedis, type RedisProcess, startRedis } from '../support/redis.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { type Subscriber, subscribe } from '../support/subscriber.js';

// More than are closed at once.
const crowd = 300;
const missed = { code: 1012, reason: 'the relay was lost, and messages may be missed; connect again' };

test('after a gap the subscribers of a channel get nothing later, though it is served again', needsRedis, async (t) => {
	const { redis, server, subscribers } = await startCrowd(t, '1h');
	await loseRelay(redis, server);
	const later = await subscribe(t, server.ws('/room'));
	const { status, headers } = await post(server.port, '/room', 'later');
	assert.deepEqual([status, headers.get('x-subscribers')], [200, '1']);
	assert.equal(await later.nextText(), 'later');
	// A frame is answered by the close frame, and by nothing before it.
	const [first] = subscribers;
	first?.send('does anybody hear me?');
	assert.deepEqual(await first?.closed, missed);
	assert.deepEqual(first?.received, ['before']);
	// Of those that send nothing, none is closed yet: they have an hour.
	assert.equal(subscribers.filter(({ ws }) => ws.readyState === ws.OPEN).length, crowd - 1);
	assert.ok(subscribers.every(({ received }) => received.join() === 'before'));
	// Else the server would take its hour to stop.
	for (const { ws } of [...subscribers, later]) ws.terminate();
	await Promise.all([...subscribers, later].map(({ closed }) => closed));
});

test('the subscribers of a gap are closed evenly over --drain', needsRedis, async (t) => {
	const { redis, server, subscribers } = await startCrowd(t, '2s');
	const startMs = performance.now();
	await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
	const closedMs = await Promise.all(
		subscribers.map(async ({ closed }) => {
			assert.deepEqual(await closed, missed);
			return performance.now() - startMs;
		}),
	);
	// A busy machine makes them later, but never earlier.
	closedMs.sort((a, b) => a - b);
	for (const share of [0.25, 0.5, 0.75, 1]) {
		const ms = closedMs[Math.ceil(crowd * share) - 1] ?? 0;
		assert.ok(ms > 2_000 * share - 100, `${share} of them are closed after ${Math.round(ms)} ms`);
	}
	assert.equal((await request(server.operatorPort, { path: '/healthz' })).status, 200);
});

async function startCrowd(t: Parameters<typeof startRedis>[0], drain: string) {
	const redis = await startRedis(t);
	const server = await startTestServer(t, '--relay', redis.url, '--drain', drain);
	const subscribers: (Subscriber & { received: string[] })[] = [];
	for (let i = 0; i < crowd; i++) {
		const received: string[] = [];
		const subscriber = Object.assign(await subscribe(t, server.ws('/room')), { received });
		subscriber.ws.on('message', (data) => received.push(String(data)));
		subscribers.push(subscriber);
	}
	await post(server.port, '/room', 'before');
	await Promise.all(subscribers.map((subscriber) => subscriber.nextText()));
	return { redis, server, subscribers };
}

/** Resolves when the connection to the relay has been lost, and is there again. */
async function loseRelay(redis: RedisProcess, server: TestServer): Promise<void> {
	await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
	while (!server.log.some(({ event, channels }) => event === 'relay' && channels === 1)) await new Promise(setImmediate);
	while ((await request(server.operatorPort, { path: '/readyz' })).status !== 200);
}
