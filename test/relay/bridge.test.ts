// The relay as a bridge: what clients of Redis publish reaches browsers, and what browsers publish is heard in Redis.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { Redis } from 'ioredis';
import { openStream } from '../support/event-stream.js';
import { post } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { needsRedis, type RedisProcess, startRedis } from '../support/redis.js';
import { metric, metricBecomes } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { startSharing, subscriptions, subscriptionsBecome } from './support/sharing.js';

const octets = { 'Content-Type': 'application/octet-stream' };
/** Text that begins with bytes that UTF-8 has, and that one could take for control. */
const texts = ['hello', 'é ☕ 🎈', '\u00ff\u0002', '\u00ff', '\u0001', '\u0000', '\ufeffmark', '\ufffd'];

/** A client of Redis that is subscribed to a channel, and gives its messages one by one. */
async function listenIn(t: TestContext, redis: RedisProcess, channel: string): Promise<() => Promise<Buffer>> {
	const client = new Redis({ port: redis.port, host: '127.0.0.1' });
	t.after(() => client.disconnect());
	const arrived: Buffer[] = [];
	client.on('smessageBuffer', (_: Buffer, payload: Buffer) => {
		arrived.push(payload);
		client.emit('arrived');
	});
	await client.ssubscribe(channel);
	return async () => {
		while (arrived.length === 0) await once(client, 'arrived');
		return arrived.shift() as Buffer;
	};
}

protocol(
	'A text message is in the relay as the bytes of its text, on the channel `pathcast:/room/1`: any client of Redis that publishes there with `SPUBLISH` reaches every subscriber, and one that subscribes there with `SSUBSCRIBE` hears every message.',
	async (t) => {
		const redis = await startRedis(t);
		const [server] = await startSharing(t, redis, 1);
		const subscriber = await subscribe(t, server.ws('/room/1'));
		const stream = await openStream(t, server, '/room/1');
		for (const text of texts) {
			assert.equal(await redis.run('SPUBLISH', 'pathcast:/room/1', text), 1);
			assert.equal(await subscriber.nextText(), text);
			assert.equal((await stream.next()).data, text);
		}
		const heard = await listenIn(t, redis, 'pathcast:/room/1');
		for (const text of texts) {
			subscriber.send(text);
			assert.deepEqual(await heard(), Buffer.from(text));
			await post(server.port, '/room/1', text);
			assert.deepEqual(await heard(), Buffer.from(text));
		}
	},
	needsRedis,
);

protocol(
	'A binary message is in the relay as the bytes 0xFF and 0x01, and then its own; the bytes 0xFF and 0x02 alone close the channel, as a DELETE does.',
	async (t) => {
		const redis = await startRedis(t);
		const [server] = await startSharing(t, redis, 1, '--binary');
		const subscriber = await subscribe(t, server.ws('/room'));
		const heard = await listenIn(t, redis, 'pathcast:/room');
		for (const bytes of [[0], [0xff, 0x01], [0xff, 0x02], [0xc3, 0xa9]].map((list) => Buffer.from(list))) {
			const payload = Buffer.concat([Buffer.from([0xff, 0x01]), bytes]);
			subscriber.send(bytes);
			assert.deepEqual([await heard(), await subscriber.next()], [payload, { data: bytes, isBinary: true }]);
			await redis.run('SPUBLISH', 'pathcast:/room', payload);
			assert.deepEqual([await heard(), await subscriber.next()], [payload, { data: bytes, isBinary: true }]);
		}
		await redis.run('SPUBLISH', 'pathcast:/room', 'the last one');
		await redis.run('SPUBLISH', 'pathcast:/room', Buffer.from([0xff, 0x02]));
		assert.equal(await subscriber.nextText(), 'the last one');
		assert.deepEqual(await subscriber.closed, { code: 1000, reason: 'the channel was closed' });
	},
	needsRedis,
);

protocol(
	'What else the relay brings, such as bytes that are not UTF-8, or more than `--max-message`, is dropped, counted, and logged once a second at the most; an empty payload is dropped silently.',
	async (t) => {
		const redis = await startRedis(t);
		const [server] = await startSharing(t, redis, 1, '--max-message', '100');
		const subscriber = await subscribe(t, server.ws('/r%C3%A4um'));
		const bodies = [[0xff], [0xff, 0x00], [0xff, 0x03, 0x61], [0xff, 0x02, 0x61], [0xff, 0xff], [0xc3], [0xed, 0xa0, 0x80]];
		const long = [Buffer.alloc(101, 'a'), Buffer.concat([Buffer.from([0xff, 0x01]), Buffer.alloc(101)])];
		const startMs = performance.now();
		for (const payload of [...bodies.map((list) => Buffer.from(list)), ...long, Buffer.from([0xff, 0x01]), ''])
			await redis.run('SPUBLISH', 'pathcast:/räum', payload);
		await redis.run('SPUBLISH', 'pathcast:/räum', 'x'.repeat(100));
		assert.equal(await subscriber.nextText(), 'x'.repeat(100));
		const seconds = (performance.now() - startMs) / 1_000;
		assert.equal(await metric(server, 'pathcast_relay_dropped_total'), bodies.length + long.length);
		assert.equal(await metric(server, 'pathcast_relay_messages_total{direction="in"}'), 1);
		const lines = server.log.filter(({ event, reason }) => event === 'relay' && reason !== undefined);
		assert.ok(lines.length <= 1 + seconds, `${lines.length} lines in ${seconds} s`);
		const { level, path, reason, leftOut } = lines[0] ?? {};
		assert.deepEqual([level, path, reason, leftOut], [40, '/r%C3%A4um', 'malformed', 0]);
	},
	needsRedis,
);

protocol(
	'No client can forge control: a body or a frame that looks like control arrives as a message.',
	async (t) => {
		const redis = await startRedis(t);
		const [a, b] = await startSharing(t, redis, 2, '--binary');
		const [alice, bob] = [await subscribe(t, a.ws('/room')), await subscribe(t, b.ws('/room'))];
		const bodies = [[0xff, 0x02], [0xff, 0x01, 0x61], [0xff], [0xff, 0x01, 0xff, 0x02]].map((list) => Buffer.from(list));
		for (const bytes of bodies) {
			alice.send(bytes);
			for (const subscriber of [alice, bob]) assert.deepEqual(await subscriber.next(), { data: bytes, isBinary: true });
			assert.equal((await post(a.port, '/room', bytes)).status, 400, 'it is no text');
			assert.equal((await post(a.operatorPort, '/channels/room', bytes)).status, 400, 'it is no text');
			assert.equal((await post(a.port, '/room', bytes, octets)).status, 200);
			for (const subscriber of [alice, bob]) assert.deepEqual(await subscriber.next(), { data: bytes, isBinary: true });
		}
		// As text the same code points are other bytes.
		alice.send('\u00ff\u0002');
		for (const subscriber of [alice, bob]) assert.equal(await subscriber.nextText(), '\u00ff\u0002');
		assert.equal(await metric(b, 'pathcast_relay_dropped_total'), 0);
	},
	needsRedis,
);

test('--relay-prefix keeps two deployments on one relay apart', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [one] = await startSharing(t, redis, 1, '--relay-prefix', 'one:');
	const [two] = await startSharing(t, redis, 1, '--relay-prefix', 'one:/room');
	const subscribers = [await subscribe(t, one.ws('/room/x')), await subscribe(t, two.ws('/x'))];
	// Only a path that completes the other's name would meet it.
	assert.equal((await post(two.port, '/room/x', 'nobody')).headers.get('x-subscribers'), '0');
	assert.equal((await post(one.port, '/x', 'nobody')).headers.get('x-subscribers'), '0');
	await redis.run('SPUBLISH', 'pathcast:/x', 'nobody');
	await redis.run('SPUBLISH', 'one:/room/x', 'both');
	for (const subscriber of subscribers) assert.equal(await subscriber.nextText(), 'both');
});

test('the name of a channel in the relay is its path, percent-decoded once', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [a, b] = await startSharing(t, redis, 2);
	const names: Record<string, string> = {
		'/': '/',
		'/a': '/a',
		'/a/': '/a/',
		'//a': '//a',
		'/a/../b': '/a/../b',
		'/caf%C3%A9?x=1': '/café',
		'/%F0%9F%8E%88': '/🎈',
		'/%2561': '/%61',
		'/%7Bx%7D/y': '/{x}/y',
		'/%7B%7D': '/{}',
		'/a%20b%0A%00': '/a b\n\0',
		'/%EF%BF%BD': '/\ufffd',
		'/*?': '/*',
		'/%5Ba%5D': '/[a]',
	};
	for (const [path, name] of Object.entries(names)) {
		const [here, there] = [await subscribe(t, a.ws(path)), await subscribe(t, b.ws(path))];
		assert.equal(await subscriptions(redis, name), 2, path);
		await redis.run('SPUBLISH', `pathcast:${name}`, `${path} by Redis`);
		await post(a.port, path, path);
		for (const subscriber of [here, there]) assert.deepEqual(await subscriber.texts(2), [`${path} by Redis`, path]);
	}
});

test('what is published for a channel that only lingers is delivered to nobody', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--relay-linger', '1h');
	await (await subscribe(t, server.ws('/room'))).close();
	await metricBecomes(server, 'pathcast_connections', 0);
	await subscriptionsBecome(redis, '/room', 1);
	for (const payload of ['early', Buffer.from([0xff, 0x02])]) await redis.run('SPUBLISH', 'pathcast:/room', payload);
	const late = await subscribe(t, server.ws('/room'));
	await redis.run('SPUBLISH', 'pathcast:/room', 'late');
	assert.equal(await late.nextText(), 'late');
});
