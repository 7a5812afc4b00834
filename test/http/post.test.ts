import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

protocol('The body of a POST or PUT goes as it is to the same subscribers.', async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	const bodies = ['hello', '{"a":1}', 'é€😀', '\u0000', '\r\n', '\ufeffx', ' ', 'x'.repeat(65_536)];
	for (const method of ['POST', 'PUT']) {
		for (const body of bodies) {
			assert.equal((await request(server.port, { method, path: '/room', body })).status, 200);
			assert.equal(await subscriber.nextText(), body);
		}
	}
	// In pieces, by chunks, and after 100 Continue.
	const connection = new RawConnection(server.port);
	await connection.write('POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n');
	assert.equal((await connection.answer()).status, 100);
	for (const piece of ['ab', 'c', 'def']) await connection.write(piece);
	assert.equal((await connection.answer()).body, 'OK\n');
	await connection.write('POST /room HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nghi\r\n');
	await connection.write('1\r\nj\r\n0\r\n\r\n');
	assert.equal((await connection.answer()).body, 'OK\n');
	connection.end();
	assert.deepEqual(await subscriber.texts(2), ['abcdef', 'ghij']);
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 2 * bodies.length + 2);
});

protocol(
	"The answer is 200, `text/plain`, `OK`, and `X-Subscribers` with the channel's subscribers at that moment: 0 if it has none and the message was dropped.",
	async (t) => {
		const server = await startTestServer(t);
		const check = async (expected: number) => {
			const { status, headers, body } = await post(server.port, '/room', 'x');
			assert.deepEqual([status, body], [200, 'OK\n']);
			assert.match(headers.get('content-type') ?? '', /^text\/plain/);
			assert.equal(headers.get('x-subscribers'), String(expected));
		};
		await check(0);
		const first = await subscribe(t, server.ws('/room'));
		await check(1);
		await subscribe(t, server.ws('/room'));
		await subscribe(t, server.ws('/room'));
		await check(3);
		await first.close();
		await check(2);
	},
);

protocol('With `If-Match: *` and no subscribers the answer is 412, and nothing is published.', async (t) => {
	const server = await startTestServer(t);
	const headers = { 'If-Match': '*' };
	for (const body of ['x', '']) assert.equal((await post(server.port, '/room', body, headers)).status, 412);
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 0);
	const subscriber = await subscribe(t, server.ws('/room'));
	assert.equal((await post(server.port, '/room', 'heard', headers)).status, 200);
	// There are no entity tags that could match (RFC 9110, section 13.1.1).
	assert.equal((await post(server.port, '/room', 'x', { 'If-Match': '"tag"' })).status, 412);
	await post(server.port, '/room', 'sentinel');
	assert.deepEqual(await subscriber.texts(2), ['heard', 'sentinel']);
});

protocol('A body that is not UTF-8 is refused with 400.', async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0xaf], [0x61, 0x80]]) {
		const { status, body } = await post(server.port, '/room', Buffer.from(bytes));
		assert.equal(status, 400);
		assert.match(body, /^The body is not valid UTF-8\. .*--binary.*\n$/);
	}
	// A character cut in two by the network is whole again.
	const connection = new RawConnection(server.port);
	await connection.write('POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n\xc3');
	await connection.write('\xa9');
	assert.equal((await connection.answer()).status, 200);
	connection.end();
	assert.equal(await subscriber.nextText(), 'é');
});

protocol(
	'With `--binary`, a body of `Content-Type: application/octet-stream` is published as a binary message; otherwise the type is ignored.',
	async (t) => {
		const server = await startTestServer(t, '--binary');
		const subscriber = await subscribe(t, server.ws('/room'));
		const bytes = Buffer.from([0xff, 0x00]);
		for (const type of ['application/octet-stream', 'Application/Octet-Stream; charset=x']) {
			assert.equal((await post(server.port, '/room', bytes, { 'Content-Type': type })).status, 200);
			assert.deepEqual(await subscriber.next(), { data: bytes, isBinary: true });
		}
		assert.equal((await post(server.port, '/room', bytes, { 'Content-Type': 'image/png' })).status, 400);
		await post(server.port, '/room', 'text', { 'Content-Type': 'image/png' });
		assert.equal(await subscriber.nextText(), 'text');

		const textOnly = await startTestServer(t);
		const textSubscriber = await subscribe(t, textOnly.ws('/room'));
		await post(textOnly.port, '/room', 'x', { 'Content-Type': 'application/octet-stream' });
		assert.equal(await textSubscriber.nextText(), 'x');
	},
);

protocol('An empty body gets the same answer, and nothing is published.', async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	for (const headers of [{ 'Content-Length': '0' }, {}, { 'Transfer-Encoding': 'chunked' }]) {
		const connection = new RawConnection(server.port);
		const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
		await connection.write(
			`POST /room HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n${'Transfer-Encoding' in headers ? '0\r\n\r\n' : ''}`,
		);
		const answer = await connection.answer();
		connection.end();
		assert.deepEqual([answer.status, answer.body, answer.headers.get('x-subscribers')], [200, 'OK\n', '1']);
	}
	await post(server.port, '/room', 'sentinel');
	assert.equal(await subscriber.nextText(), 'sentinel');
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 1);
});

protocol(
	'A body over `--max-message` is refused with 413: by its Content-Length before it is read, or while a chunked one is counted.',
	async (t) => {
		const server = await startTestServer(t);
		const subscriber = await subscribe(t, server.ws('/room'));
		const reason = 'The message is longer than 65536 bytes (--max-message).\n';

		const announced = new RawConnection(server.port);
		await announced.write('POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n');
		const early = await announced.answer();
		assert.deepEqual([early.status, early.body], [413, reason]);
		// The body may come all the same; it is discarded, and the connection can be used again.
		await announced.write(`${'x'.repeat(65_537)}POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nafter`);
		assert.equal((await announced.answer()).status, 200);
		announced.end();
		assert.equal(await subscriber.nextText(), 'after');

		const chunked = new RawConnection(server.port);
		await chunked.write('POST /room HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
		for (let i = 0; i < 64; i++) await chunked.write(`400\r\n${'x'.repeat(1_024)}\r\n`);
		await chunked.write('1\r\nx\r\n');
		const counted = await chunked.answer();
		assert.deepEqual([counted.status, counted.body], [413, reason]);
		await chunked.write(
			`400\r\n${'x'.repeat(1_024)}\r\n0\r\n\r\nPOST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nagain`,
		);
		assert.equal((await chunked.answer()).status, 200);
		chunked.end();
		assert.equal(await subscriber.nextText(), 'again');

		const huge = new RawConnection(server.port);
		await huge.write('POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n');
		assert.equal((await huge.answer()).status, 413);
		huge.end();
	},
);

protocol('A body with a `Content-Encoding` is refused with 415 and `Accept-Encoding: identity`.', async (t) => {
	const server = await startTestServer(t, '--binary');
	const subscriber = await subscribe(t, server.ws('/room'));
	const body = gzipSync('compressed');
	for (const [port, path] of [
		[server.port, '/room'],
		[server.operatorPort, '/channels/room'],
	] as const) {
		for (const coding of ['gzip', 'br', 'GZIP, identity', '']) {
			const headers = { 'Content-Encoding': coding, 'Content-Type': 'application/octet-stream' };
			const answer = await post(port, path, body, headers);
			assert.deepEqual([answer.status, answer.headers.get('accept-encoding')], [415, 'identity'], coding);
		}
		assert.equal((await post(port, path, 'plain', { 'Content-Encoding': 'Identity' })).status, 200);
		assert.equal(await subscriber.nextText(), 'plain');
	}
});
