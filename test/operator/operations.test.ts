import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { rateLimited } from '#src/observe/log.js';
import { readOptions } from '#src/options/reading.js';
import { startServer } from '#src/server.js';
import { handshakeHeaders, post, RawConnection, request } from '../support/http.js';
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

test('a stopping server closes every websocket with 1012 after its last message, and refuses new ones', async (t) => {
	const server = await startTestServer(t);
	const subscribers = await Promise.all(Array.from({ length: 450 }, (_, i) => subscribe(t, server.ws(`/room/${i % 3}`))));
	const keptAlive = new RawConnection(server.port);
	await keptAlive.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
	await keptAlive.answer();
	for (const path of ['/room/0', '/room/1', '/room/2']) {
		for (let i = 0; i < 20; i++) await post(server.port, path, `last ${i}`);
	}
	const stopped = server.stop();
	const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
	await keptAlive.write(`GET / HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`);
	const refused = await keptAlive.answer();
	keptAlive.end();
	assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
	await stopped;
	const last = Array.from({ length: 20 }, (_, i) => `last ${i}`);
	for (const subscriber of subscribers) {
		assert.deepEqual(await subscriber.texts(20), last);
		assert.deepEqual(await subscriber.closed, { code: 1012, reason: 'the server is restarting; connect again' });
	}
	await assert.rejects(post(server.port, '/room/0', 'x'), /closed/);
	await assert.rejects(request(server.operatorPort, { path: '/healthz' }), /closed/);
});

test('a throw inside a handler answers 500 or closes with 1011, is logged with its stack, and the server goes on', async (t) => {
	const options = readOptions(['--addr', '127.0.0.1:0', '--mport', 'off', '--log-level', 'debug'], {}, 'test');
	assert.ok(!('text' in options));
	// A log that fails on a poisoned path: every handler writes to it at debug.
	const errors: { err: { stack: string } }[] = [];
	const log = pino(
		{ level: 'debug' },
		{ write: (line) => void (JSON.parse(line).level === 50 && errors.push(JSON.parse(line))) },
	);
	const debug = log.debug.bind(log);
	log.debug = ((fields: { event: string; path: string }, text: string) => {
		if (fields.path === `/${fields.event}`) throw new Error(`poisoned ${fields.event}`);
		debug(fields, text);
	}) as typeof log.debug;
	const server = await startServer(options, log);
	t.after(() => server.stop());
	assert.ok('port' in server.address);
	const { port } = server.address;
	const ws = (path: string) => `ws://127.0.0.1:${port}${path}`;

	assert.equal((await post(port, '/publish', 'x')).status, 500);
	assert.equal((await (await subscribe(t, ws('/open'))).closed).code, 1011);
	const publisher = await subscribe(t, ws('/publish'));
	publisher.send('x');
	assert.deepEqual(await publisher.closed, {
		code: 1011,
		reason: 'the server failed to handle this connection; its log says why',
	});
	await (await subscribe(t, ws('/close'))).close();

	const well = await subscribe(t, ws('/well'));
	assert.equal((await post(port, '/well', 'x')).headers.get('x-subscribers'), '1');
	assert.equal(await well.nextText(), 'x');
	assert.deepEqual(
		errors.map(({ err }) => /poisoned \w+/.exec(err.stack)?.[0]),
		['poisoned publish', 'poisoned open', 'poisoned publish', 'poisoned close'],
	);
	for (const { err } of errors) assert.match(err.stack, /\n +at /);
});

test('a rate-limited log line tells how many were left out', () => {
	let now = 0;
	const lines: [number, string][] = [];
	const write = rateLimited(
		1_000,
		(leftOut: number, text: string) => lines.push([leftOut, text]),
		() => now,
	);
	for (const [ms, text] of [
		[0, 'first'],
		[1, 'left out'],
		[999, 'left out'],
		[1_000, 'second'],
		[1_500, 'left out'],
		[9_000, 'third'],
		[10_000, 'fourth'],
	] as const) {
		now = ms;
		write(text);
	}
	assert.deepEqual(lines, [
		[0, 'first'],
		[2, 'second'],
		[1, 'third'],
		[0, 'fourth'],
	]);
});
