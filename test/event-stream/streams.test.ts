// Event streams over the wire: who gets one, and what it says.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { commentMs } from '#src/event-stream/streams.js';
import { acceptsStream, openStream, streamRequest } from '../support/event-stream.js';
import { post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { needs } from '../support/requirement.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

protocol(
	'A GET whose `Accept` names `text/event-stream`, and does not want `text/html` as much, subscribes and is answered with an event stream; every other GET shows the test page.',
	async (t) => {
		const server = await startTestServer(t);
		const stream = await openStream(t, server, '/caf%C3%A9?x=1');
		assert.equal((await post(server.port, '/café', 'hello')).headers.get('x-subscribers'), '1');
		assert.deepEqual(await stream.next(), { type: 'message', data: 'hello' });
		for (const accept of ['text/html, text/event-stream', '*/*']) {
			const { headers, body } = await request(server.port, { path: '/café', headers: { Accept: accept } });
			assert.match(String(headers.get('content-type')), /^text\/html/);
			assert.match(body, /^<!doctype html>/);
			assert.equal(headers.get('vary'), 'Accept, Accept-Encoding');
			const cached = { Accept: accept, 'If-None-Match': String(headers.get('etag')) };
			assert.equal((await request(server.port, { path: '/café', headers: cached })).status, 304);
		}
		// An entity tag says nothing of a stream.
		await openStream(t, server, '/caf%C3%A9', { 'If-None-Match': '*' });
		assert.equal(await metric(server, 'pathcast_subscribers'), 2);
	},
);

protocol(
	'The answer has `Cache-Control: no-store`, `X-Accel-Buffering: no`, `Vary: Accept` and, for an origin that `--origin` allows, the CORS headers; it is never compressed.',
	async (t) => {
		const server = await startTestServer(t, '--origin', 'https://example.com');
		const all = { Origin: 'https://example.com', 'Accept-Encoding': 'br, gzip, deflate' };
		const { headers } = (await openStream(t, server, '/room', all)).response;
		assert.equal(headers['cache-control'], 'no-store');
		assert.equal(headers['x-accel-buffering'], 'no');
		assert.equal(headers.vary, 'Origin, Accept');
		assert.equal(headers['access-control-allow-origin'], 'https://example.com');
		assert.equal(headers['access-control-allow-credentials'], 'true');
		assert.equal(headers['content-encoding'], undefined);
	},
);

protocol(
	'A stream begins with a comment and a random `retry` of 2 to 5 seconds; a comment follows every half `--ping-timeout`, or every 25 seconds with 0.',
	async (t) => {
		const server = await startTestServer(t, '--ping-timeout', '8s');
		const streams = await Promise.all(Array.from({ length: 10 }, () => openStream(t, server, '/room')));
		const waits = streams.map(({ parser }) => parser.retryMs ?? 0);
		assert.ok(Math.min(...waits) >= 2_000 && Math.max(...waits) < 5_000, String(waits));
		assert.ok(new Set(waits).size > 1, String(waits));
		const [stream, ...others] = streams;
		assert.ok(stream);
		// One alone gets no more than one of many.
		for (const { socket } of others) socket.destroy();
		await stream.comments(2);
		const startMs = performance.now();
		await stream.comments(4);
		const elapsedMs = performance.now() - startMs;
		assert.ok(elapsedMs > 7_500 && elapsedMs < 12_000, `${elapsedMs} ms`);
		assert.deepEqual([8, 30, 0].map(commentMs), [4_000, 15_000, 25_000]);
	},
);

protocol(
	'A message is an event with one `data` field for each of its lines: LF, CR and CRLF all end a line, and the client joins the lines with LF.',
	async (t) => {
		const server = await startTestServer(t);
		const stream = await openStream(t, server, '/room');
		for (const text of ['a\nb\r\nc\rd', '\n', ' x', '漢😀\r\n', ':'.repeat(65_536), '\r'.repeat(60_000)]) {
			await post(server.port, '/room', text);
			assert.equal((await stream.next()).data, text.replace(/\r\n?/g, '\n'));
		}
	},
);

protocol('A binary message is an event `binary` with the bytes in base64.', async (t) => {
	const server = await startTestServer(t, '--binary');
	const stream = await openStream(t, server, '/room');
	const bytes = Buffer.from([0, 1, 10, 13, 255]);
	await post(server.port, '/room', bytes, { 'Content-Type': 'application/octet-stream' });
	assert.deepEqual(await stream.next(), { type: 'binary', data: bytes.toString('base64') });
});

protocol('Events have no `id`, and `Last-Event-ID` is ignored: there is no history.', async (t) => {
	const server = await startTestServer(t);
	await subscribe(t, server.ws('/room'));
	await post(server.port, '/room', 'before');
	const stream = await openStream(t, server, '/room', { 'Last-Event-ID': '1' });
	await post(server.port, '/room', 'after');
	// The parser rejects any field that it does not know.
	assert.equal((await stream.next()).data, 'after');
});

protocol(
	'Event streams and websockets on one path get the same messages in the same order, and count the same in `X-Subscribers`, in the metrics, in `/channels` and for the limits.',
	async (t) => {
		const server = await startTestServer(t, '--max-subscribers', '2');
		const stream = await openStream(t, server, '/room');
		const socket = await subscribe(t, server.ws('/room'));
		const headers = acceptsStream;
		const full = await request(server.port, { path: '/room', headers });
		assert.deepEqual([full.status, full.headers.get('retry-after')], [503, '5']);
		assert.equal((await post(server.port, '/room', '0')).headers.get('x-subscribers'), '2');
		for (let i = 1; i < 100; i++) {
			if (i % 2 === 0) socket.send(String(i));
			else await post(server.port, '/room', String(i));
			assert.deepEqual(
				[await stream.texts(1), await socket.texts(1)],
				i === 1 ? [['0'], ['0']] : [[String(i - 1)], [String(i - 1)]],
			);
		}
		assert.equal(await metric(server, 'pathcast_subscribers'), 2);
		assert.equal(await metric(server, 'pathcast_deliveries_total'), 200);
		assert.equal(await metric(server, 'pathcast_connections_opened_total'), 2);
		const { body } = await request(server.operatorPort, { path: '/channels/room' });
		assert.deepEqual(JSON.parse(body), { channel: '/room', subscribers: 2, grouped: 0, backlog: 0 });
	},
);

protocol(
	'A stream is refused as an upgrade is: 400 for the path, 403 for the origin, 503 at a limit and while the server stops, each as one line of text.',
	async (t) => {
		const server = await startTestServer(t, '--origin', 'https://example.com', '--max-connections', '1');
		const ask = (path: string, headers = {}) => request(server.port, { path, headers: { ...acceptsStream, ...headers } });
		for (const [status, answer] of [
			[400, await ask('/%zz')],
			[403, await ask('/room', { Origin: 'https://example.org' })],
		] as const) {
			assert.equal(answer.status, status);
			assert.match(String(answer.headers.get('content-type')), /^text\/plain/);
			assert.match(answer.body, /^[^\n]+\n$/);
		}
		// The connection goes on after a refusal.
		const connection = new RawConnection(server.port);
		await connection.write('GET /%zz HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n');
		assert.equal((await connection.answer()).status, 400);
		await connection.write(streamRequest);
		await connection.arrived(': subscribed');
		const full = await ask('/other', { Origin: 'https://example.com' });
		assert.equal(full.status, 503);
		assert.equal(full.headers.get('access-control-allow-origin'), 'https://example.com');
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="connections"}'), 1);
		connection.end();

		const stopping = await startTestServer(t, '--drain-delay', '1s');
		const stopped = stopping.stop();
		assert.equal((await request(stopping.port, { path: '/room', headers: acceptsStream })).status, 503);
		await stopped;
	},
);

protocol(
	'A HEAD with such an `Accept` gets the headers of the stream, and does not subscribe; a GET with a body is refused with 400.',
	async (t) => {
		const server = await startTestServer(t);
		const { status, headers } = await request(server.port, { method: 'HEAD', path: '/room', headers: acceptsStream });
		assert.deepEqual([status, headers.get('content-type')], [200, 'text/event-stream']);
		assert.equal((await request(server.port, { path: '/room', headers: acceptsStream, body: 'x' })).status, 400);
		assert.equal(await metric(server, 'pathcast_connections_opened_total'), 0);
	},
);

protocol(
	'A DELETE, `--max-age`, `/drain` and stopping end a stream after its last message, with a comment that says why, and with the last chunk of the answer.',
	async (t) => {
		const server = await startTestServer(t);
		const ends: Record<string, () => Promise<unknown>> = {
			operator: () => request(server.operatorPort, { method: 'DELETE', path: '/channels/room' }),
			moved: () => request(server.operatorPort, { method: 'POST', path: '/drain?over=1s' }),
			stopping: () => server.stop(),
		};
		for (const [reason, end] of Object.entries(ends)) {
			const stream = await openStream(t, server, '/room');
			const texts = Array.from({ length: 200 }, (_, i) => `${i}\n${'x'.repeat(10_000)}`);
			const socket = await subscribe(t, server.ws('/room'));
			for (const text of texts) socket.send(text);
			while ((await metric(server, 'pathcast_messages_received_total{source="websocket"}')) % 200 > 0);
			await end();
			assert.deepEqual(await stream.textsUntilClosed(), texts, reason);
			assert.equal(await stream.closed, 'ended', reason);
			assert.ok(stream.parser.comments > 1);
			assert.ok(server.log.some((line) => line.event === 'close' && line.reason === reason));
			if (reason !== 'stopping') await socket.closed;
		}

		const aging = await startTestServer(t, '--max-age', '1s');
		assert.equal(await (await openStream(t, aging, '/room')).closed, 'ended');
		assert.equal(await metric(aging, 'pathcast_disconnects_total{reason="age"}'), 1);
	},
);

protocol('A client that closes its connection has left the channel at once.', async (t) => {
	const server = await startTestServer(t);
	const stream = await openStream(t, server, '/room');
	const stays = await openStream(t, server, '/room');
	stream.socket.destroy();
	while ((await metric(server, 'pathcast_subscribers')) > 1);
	assert.equal(await metric(server, 'pathcast_disconnects_total{reason="client"}'), 1);
	// A reset is no different.
	(await openStream(t, server, '/room')).socket.resetAndDestroy();
	while ((await metric(server, 'pathcast_disconnects_total{reason="client"}')) < 2);
	await post(server.port, '/room', 'x');
	assert.equal((await stays.next()).data, 'x');
	assert.equal((await post(server.port, '/room', 'x')).headers.get('x-subscribers'), '1');
});

protocol('A client that sends another request on the connection of a stream is disconnected.', async (t) => {
	const server = await startTestServer(t);
	for (const separately of [true, false]) {
		const connection = new RawConnection(server.port);
		await connection.write(separately ? streamRequest : streamRequest.repeat(2));
		if (separately) {
			await connection.arrived(': subscribed');
			await connection.write(streamRequest);
		}
		await connection.closed;
	}
	while ((await metric(server, 'pathcast_subscribers')) > 0);
});

test('curl subscribes', needs('curl', '/usr/bin/curl'), async (t) => {
	const server = await startTestServer(t);
	const curl = execFile('curl', ['-sN', '-H', 'Accept: text/event-stream', `http://127.0.0.1:${server.port}/room`]);
	t.after(() => curl.kill());
	let text = '';
	curl.stdout?.on('data', (data) => {
		text += data;
	});
	while (!text.includes('\n\n')) await once(curl.stdout as NodeJS.ReadableStream, 'data');
	await post(server.port, '/room', 'a\nb');
	await request(server.operatorPort, { method: 'DELETE', path: '/channels/room' });
	assert.deepEqual(await once(curl, 'exit'), [0, null]);
	assert.match(text, /^: subscribed\nretry: [0-9]+\n\n(:\n\n|\n)*data: a\ndata: b\n\n(\n)*: the channel was closed\n\n$/);
});
