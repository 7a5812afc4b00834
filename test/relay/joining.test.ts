// Joining a channel by way of the relay: when a client is let in, and how long the server stays subscribed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import { knock, openStatus } from '../support/doors.js';
import { acceptsStream } from '../support/event-stream.js';
import { freePort } from '../support/free-port.js';
import { post, RawConnection, request } from '../support/http.js';
import { startNamingService } from '../support/naming-service.js';
import { protocol } from '../support/protocol.js';
import { needsRedis, RedisProcess, startRedis } from '../support/redis.js';
import { metric, metricBecomes } from '../support/server.js';
import { subscribe, subscribeMany } from '../support/subscriber.js';
import {
	freeze,
	readiness,
	readinessBecomes,
	startSharing,
	subscribesOf,
	subscriptions,
	subscriptionsBecome,
} from './support/sharing.js';

const doors = ['websocket', 'event stream'] as const;

protocol(
	'With `--relay`, an upgrade and an event stream are answered when the relay has confirmed the subscription: everything that is published after that arrives.',
	async (t) => {
		const redis = await startRedis(t);
		const [server] = await startSharing(t, redis, 1, '--relay-timeout', '60s');
		for (const door of doors) {
			const path = `/${door.replace(' ', '-')}`;
			const goOn = await freeze(redis);
			const connection = knock(server.port, door, path);
			await metricBecomes(server, 'pathcast_relay_channels', doors.indexOf(door) + 1);
			assert.equal(await metric(server, 'pathcast_connections'), doors.indexOf(door), 'nobody is let in yet');
			goOn();
			assert.equal((await connection.answer()).status, openStatus[door]);
			assert.equal(await redis.run('SPUBLISH', `pathcast:${path}`, `for the ${door}`), 1);
			await connection.arrived(`for the ${door}`);
			t.after(() => connection.end());
		}
	},
	needsRedis,
);

test('a HEAD for a stream is answered as the stream would be, and leaves nothing', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--relay-timeout', '60s', '--relay-linger', '1s');
	const goOn = await freeze(redis);
	const answer = request(server.port, { method: 'HEAD', path: '/room', headers: acceptsStream });
	await metricBecomes(server, 'pathcast_relay_channels', 1);
	goOn();
	assert.equal((await answer).status, 200);
	await subscriptionsBecome(redis, '/room', 0);
	assert.equal(await metric(server, 'pathcast_connections_opened_total'), 0);
});

test('a client that gives up before the relay has confirmed leaves nothing', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--relay-timeout', '60s', '--relay-linger', '1s');
	const goOn = await freeze(redis);
	const connections = doors.map((door) => knock(server.port, door));
	await metricBecomes(server, 'pathcast_relay_channels', 1);
	for (const connection of connections) connection.end();
	goOn();
	while ((await subscribesOf(redis)) === 0);
	await subscriptionsBecome(redis, '/room', 0);
	await metricBecomes(server, 'pathcast_relay_channels', 0);
	assert.equal(await metric(server, 'pathcast_connections_opened_total'), 0);
	assert.equal(await metric(server, 'pathcast_channels'), 0);
});

test('many clients of one channel are let in by one subscription', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1);
	const before = await subscribesOf(redis);
	const subscribers = await subscribeMany(t, 100, () => server.ws('/room'));
	assert.equal((await subscribesOf(redis)) - before, 1);
	await post(server.port, '/room', 'for all');
	for (const subscriber of subscribers) assert.equal(await subscriber.nextText(), 'for all');
});

test(
	'a reload within --relay-linger keeps the subscription, and without one the channel is unsubscribed',
	needsRedis,
	async (t) => {
		const redis = await startRedis(t);
		const [patient] = await startSharing(t, redis, 1, '--relay-linger', '1h');
		const before = await subscribesOf(redis);
		for (let i = 0; i < 5; i++) await (await subscribe(t, patient.ws('/patient'))).close();
		assert.equal((await subscribesOf(redis)) - before, 1);
		assert.equal(await subscriptions(redis, '/patient'), 1);
		const [hasty] = await startSharing(t, redis, 1, '--relay-linger', '1s');
		const reader = await subscribe(t, hasty.ws('/room'));
		await (await subscribe(t, hasty.ws('/room'))).close();
		await (await subscribe(t, hasty.ws('/other'))).close();
		await subscriptionsBecome(redis, '/other', 0);
		assert.equal(await subscriptions(redis, '/room'), 1, 'a subscriber is left');
		await reader.close();
		await subscriptionsBecome(redis, '/room', 0);
		await metricBecomes(hasty, 'pathcast_relay_channels', 0);
	},
);

test('a client that comes back while the channel is unsubscribed gets what is published after it', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--relay-timeout', '60s', '--relay-linger', '1s');
	await (await subscribe(t, server.ws('/room'))).close();
	const goOn = await freeze(redis);
	// The server has asked Redis to end the subscription, and cannot have its answer.
	await metricBecomes(server, 'pathcast_relay_channels', 0);
	const coming = subscribe(t, server.ws('/room'));
	await metricBecomes(server, 'pathcast_relay_channels', 1);
	goOn();
	const subscriber = await coming;
	assert.equal(await subscriptions(redis, '/room'), 1);
	for (let i = 0; i < 3; i++) await post(server.port, '/room', String(i));
	assert.deepEqual(await subscriber.texts(3), ['0', '1', '2']);
});

test('clients that come and go at the moment of the unsubscription miss nothing', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--relay-linger', '1s');
	for (let i = 0; i < 3; i++) {
		await (await subscribe(t, server.ws('/room'))).close();
		// Redis has just ended the subscription, and its answer may still be on its way.
		while ((await subscriptions(redis, '/room')) > 0) await tick();
		const subscriber = await subscribe(t, server.ws('/room'));
		assert.equal(await redis.run('SPUBLISH', 'pathcast:/room', String(i)), 1);
		assert.equal(await subscriber.nextText(), String(i));
		await subscriber.close();
	}
});

test('a client whose channel has been unsubscribed while its session was subscribed to is not let in', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const service = await startNamingService(t);
	const flags = ['--auth', service.url, '--relay-timeout', '60s', '--relay-linger', '1s'];
	const [server] = await startSharing(t, redis, 1, ...flags);
	for (const door of doors) {
		const name = door.slice(0, 5);
		const last = await subscribe(t, server.ws('/room'));
		const goOn = await freeze(redis);
		const connection = knock(server.port, door, `/room?${name}`);
		await metricBecomes(server, 'pathcast_relay_channels', 2);
		await last.close();
		// The channel of the path is given up, and the session waits for Redis.
		await metricBecomes(server, 'pathcast_relay_channels', 1);
		goOn();
		assert.equal((await connection.answer()).status, 503, door);
		connection.end();
		const again = knock(server.port, door, `/room?${name}`);
		assert.equal((await again.answer()).status, openStatus[door]);
		await redis.run('SPUBLISH', 'pathcast:/room', `for the ${door}`);
		await again.arrived(`for the ${door}`);
		again.end();
		await metricBecomes(server, 'pathcast_relay_channels', 0);
	}
});

test('2,000 channels that are opened and closed leave no subscription', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--relay-linger', '1s');
	const subscribers = await subscribeMany(t, 2_000, (nth) => server.ws(`/room/${nth}`));
	assert.equal(((await redis.run('PUBSUB', 'SHARDCHANNELS')) as string[]).length, 2_000);
	assert.equal(await metric(server, 'pathcast_relay_channels'), 2_000);
	for (const { ws } of subscribers) ws.terminate();
	await metricBecomes(server, 'pathcast_relay_channels', 0);
	while (((await redis.run('PUBSUB', 'SHARDCHANNELS')) as string[]).length > 0);
});

protocol(
	'While the relay cannot be reached, upgrades, event streams, POSTs and PUTs are refused with 503 and `Retry-After`, and `/readyz` is 503 and says `relay:` and why; the test page is served.',
	async (t) => {
		const redis = await startRedis(t);
		const [server] = await startSharing(t, redis, 1);
		await redis.kill();
		await readinessBecomes(server, 503);
		assert.match((await readiness(server))[1], /^relay: .*127\.0\.0\.1:\d+/);
		for (const door of [...doors, 'POST' as const]) {
			const connection = knock(server.port, door);
			const { status, headers, body } = await connection.answer();
			assert.deepEqual([status, headers.get('retry-after')], [503, '5'], door);
			assert.match(body, /^The relay of this server cannot be reached: nothing was done/, door);
			connection.end();
		}
		assert.equal((await request(server.port, { method: 'PUT', path: '/room', body: 'x' })).status, 503);
		assert.match((await request(server.port, { path: '/room' })).body, /^<!doctype html>/i);
		assert.equal((await request(server.operatorPort, { path: '/healthz' })).status, 200);
		assert.equal(await metric(server, 'pathcast_relay_up'), 0);
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="relay"}'), 4);
	},
	needsRedis,
);

test('a server starts while Redis is down, is not ready, and serves as soon as Redis is there', needsRedis, async (t) => {
	const port = await freePort();
	const redis = new RedisProcess(t, port, ['--bind', '127.0.0.1', '--port', String(port), '--save', '']);
	const [server] = await startSharing(t, redis, 1);
	assert.match((await readiness(server))[1], /^relay: .*ECONNREFUSED/);
	const connection = new RawConnection(server.port);
	await connection.write('POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx');
	assert.equal((await connection.answer()).status, 503);
	connection.end();
	await redis.start();
	await readinessBecomes(server, 200);
	assert.deepEqual(await readiness(server), [200, 'OK']);
	assert.equal(await metric(server, 'pathcast_relay_up'), 1);
	const subscriber = await subscribe(t, server.ws('/room'));
	await redis.run('SPUBLISH', 'pathcast:/room', 'here');
	assert.equal(await subscriber.nextText(), 'here');
	assert.ok(server.log.some(({ event, msg }) => event === 'relay' && msg === 'the relay (--relay) serves'));
});
