import assert from 'node:assert/strict';
import { test } from 'node:test';
import { post, RawConnection } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const smuggled = 'POST /canary HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nsmuggled';

const ambiguous: Record<string, { headers: string; body: string }> = {
	'two Content-Lengths, the first shorter': { headers: 'Content-Length: 3\r\nContent-Length: 6\r\n', body: 'abcdef' },
	'two Content-Lengths, the first longer': { headers: 'Content-Length: 6\r\nContent-Length: 3\r\n', body: 'abcdef' },
	'two equal Content-Lengths': { headers: 'Content-Length: 3\r\nContent-Length: 3\r\n', body: 'abc' },
	'two Content-Lengths of zero': { headers: 'Content-Length: 0\r\nContent-Length: 0\r\n', body: '' },
	'an empty Content-Length': { headers: 'Content-Length: \r\n', body: '' },
	'an empty Content-Length and a body': { headers: 'Content-Length:\r\n', body: 'abc' },
	'an empty Content-Length and chunks': {
		headers: 'Content-Length:\r\nTransfer-Encoding: chunked\r\n',
		body: '3\r\nabc\r\n0\r\n\r\n',
	},
	'a Content-Length list': { headers: 'Content-Length: 3, 3\r\n', body: 'abc' },
	'a signed Content-Length': { headers: 'Content-Length: +3\r\n', body: 'abc' },
	'a negative Content-Length': { headers: 'Content-Length: -3\r\n', body: 'abc' },
	'a hexadecimal Content-Length': { headers: 'Content-Length: 0x3\r\n', body: 'abc' },
	'a Content-Length with a blank in it': { headers: 'Content-Length: 3 3\r\n', body: 'abc' },
	'another Transfer-Encoding': { headers: 'Transfer-Encoding: gzip\r\n', body: '3\r\nabc\r\n0\r\n\r\n' },
	'an empty Transfer-Encoding': { headers: 'Transfer-Encoding:\r\n', body: '3\r\nabc\r\n0\r\n\r\n' },
	identity: { headers: 'Transfer-Encoding: identity\r\n', body: 'abc' },
	'chunked among others': { headers: 'Transfer-Encoding: gzip, chunked\r\n', body: '3\r\nabc\r\n0\r\n\r\n' },
	'chunked twice': { headers: 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', body: '3\r\nabc\r\n0\r\n\r\n' },
	'a disguised chunked': { headers: 'Transfer-Encoding: xchunked\r\n', body: '3\r\nabc\r\n0\r\n\r\n' },
	'Content-Length and Transfer-Encoding': {
		headers: 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n',
		body: '3\r\nabc\r\n0\r\n\r\n',
	},
	'Transfer-Encoding and Content-Length': {
		headers: 'Transfer-Encoding: chunked\r\nContent-Length: 3\r\n',
		body: '3\r\nabc\r\n0\r\n\r\n',
	},
	'two Hosts': { headers: 'Host: y\r\n', body: '' },
};
// The engine closes these by itself, before a handler could answer.
const unanswered =
	/^(Content-Length and|Transfer-Encoding and|a Content-Length list|a signed|a negative|a hexadecimal|a Content-Length with)/;

protocol(
	'Ambiguous framing (two Content-Length headers, an empty or malformed one, a Transfer-Encoding other than `chunked`, two Host headers) closes the connection, with 400 where the engine can still answer; nothing after it on that connection runs as a request.',
	async (t) => {
		const server = await startTestServer(t);
		const canary = await subscribe(t, server.ws('/canary'));
		const victim = await subscribe(t, server.ws('/room'));
		for (const method of ['POST', 'PUT', 'GET', 'HEAD', 'OPTIONS', 'DELETE']) {
			for (const [name, { headers, body }] of Object.entries(ambiguous)) {
				const what = `${method}, ${name}`;
				const head = `${method} /room HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

				// Alone: 400 where the engine leaves the choice to us.
				const alone = new RawConnection(server.port);
				await alone.write(head + body);
				const answer = await alone.closed;
				if (!unanswered.test(name)) assert.match(answer, /^HTTP\/1\.1 400 .*\r\n\r\n[A-Z][^\n]* (must be [^\n]*)\n$/s, what);
				else assert.equal(answer, '', what);

				// Followed by a request in the same read; in a later one; and with the body in a later one.
				for (const pieces of [
					[head + body + smuggled],
					[head + body, smuggled],
					[head, body + smuggled],
					[head, body, smuggled],
				]) {
					const connection = new RawConnection(server.port);
					for (const piece of pieces) {
						await connection.write(piece);
						await roundTrip(server);
					}
					assert.doesNotMatch(await connection.closed, /^HTTP\/1\.1 2/m, what);
				}
			}
		}
		canary.send('sentinel');
		assert.equal(await canary.nextText(), 'sentinel', 'nothing was smuggled to another channel');
		victim.send('sentinel');
		assert.equal(await victim.nextText(), 'sentinel', 'nothing ambiguous was published');
		assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 0);
	},
);

/** Answered when the server has read whatever was written to it before. */
async function roundTrip(server: TestServer): Promise<void> {
	await post(server.port, '/round-trip', '');
}

test('malformed, oversized and unfinished requests publish nothing and leave the server well', async (t) => {
	const server = await startTestServer(t);
	const canary = await subscribe(t, server.ws('/canary'));
	const filler = (bytes: number) => `X-Filler: ${'x'.repeat(bytes)}\r\n`;
	const requests = [
		`POST /canary HTTP/1.0\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`,
		`POST /canary HTTP/1.1\r\nContent-Length: 1\r\n\r\nx`,
		`POST http://x/canary HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`,
		`OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n`,
		`PROPFIND /canary HTTP/1.1\r\nHost: x\r\n\r\n`,
		`POST /canary HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx`,
		`POST /canary HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\nx`,
		`POST /canary HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(60)}Content-Length: 1\r\n\r\nx`,
		`POST /canary HTTP/1.1\r\nHost: x\r\nX: a\nContent-Length: 1\r\n\r\nx`,
		`POST /canary HTTP/1.1\r\nHost: x\r\nContent-Length : 1\r\n\r\nx`,
		`POST /canary HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n`,
		`POST /canary HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n0\r\n\r\n`,
		`POST /canary HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ncut short`,
		`POST /canary HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ncut`,
		'GET',
		'\r\n\r\n\r\n',
		'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
		'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
	];
	const connections = requests.map((text) => {
		const connection = new RawConnection(server.port);
		void connection.write(text);
		return connection;
	});
	// In two reads, so that the engine's limit of 4 KiB bites.
	const large = new RawConnection(server.port);
	await large.write(`POST /canary HTTP/1.1\r\nHost: x\r\n${filler(4_000)}`);
	await roundTrip(server);
	await large.write(`${filler(4_000)}Content-Length: 1\r\n\r\nx`);

	// A client that goes away in the middle is no trouble either.
	for (const connection of [...connections, large]) {
		await connection.write('');
		connection.end();
		await connection.closed;
	}
	canary.send('sentinel');
	assert.equal(await canary.nextText(), 'sentinel');
});

test('requests that are pipelined over one connection are each served, in their order', async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	const connection = new RawConnection(server.port);
	const texts = Array.from({ length: 100 }, (_, i) => `pipelined ${i}`);
	await connection.write(
		texts.map((text) => `POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`).join(''),
	);
	for (const _ of texts) assert.equal((await connection.answer()).headers.get('x-subscribers'), '1');
	connection.end();
	assert.deepEqual(await subscriber.texts(100), texts);
});
