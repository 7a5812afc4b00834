import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handshakeHeaders, post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const proxyHint = 'A proxy in front must use HTTP/1.1 and pass the Upgrade and Connection headers.';

protocol('A websocket upgrade (RFC 6455, version 13) on any valid path subscribes to it.', async (t) => {
	const server = await startTestServer(t);
	const { status, headers } = await request(server.port, { path: '/room', headers: handshakeHeaders });
	assert.equal(status, 101);
	// The example of RFC 6455, section 1.3.
	assert.equal(headers.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
	for (const path of ['/', '/room', '/a/b/c', `/${'a/'.repeat(120)}`, '/%00', '/%0D%0A', '/%F0%9F%98%80', '/__proto__']) {
		const subscriber = await subscribe(t, server.ws(path));
		assert.equal((await post(server.port, path, path)).headers.get('x-subscribers'), '1', path);
		assert.equal(await subscriber.nextText(), path);
	}
});

protocol('Any `Sec-WebSocket-*` header or `Upgrade: websocket` makes a request an upgrade.', async (t) => {
	const server = await startTestServer(t);
	const cases: Record<string, string>[] = [
		{ Upgrade: 'websocket' },
		{ Upgrade: 'h2c, WebSocket' },
		{ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' },
		{ 'Sec-WebSocket-Key': 'short' },
		{ 'Sec-WebSocket-Version': '13' },
		{ 'Sec-WebSocket-Protocol': 'chat' },
		{ 'Sec-WebSocket-Extensions': 'permessage-deflate' },
		{ 'Sec-WebSocket-Anything': 'x' },
	];
	for (const headers of cases) {
		const { status, body } = await request(server.port, { headers });
		assert.deepEqual([status, body.includes(proxyHint)], [400, true], JSON.stringify(headers));
	}
	// What a proxy adds to every request, without meaning an upgrade.
	for (const headers of [{ Connection: 'upgrade' }, { Upgrade: 'h2c', Connection: 'Upgrade' }]) {
		assert.equal((await request(server.port, { headers })).status, 200);
	}
});

protocol('An upgrade with another version is refused with 426 and `Sec-WebSocket-Version: 13`.', async (t) => {
	const server = await startTestServer(t);
	for (const version of ['8', '0', '14', '013', '13, 8', '']) {
		const headers = { ...handshakeHeaders, 'Sec-WebSocket-Version': version };
		const refused = await request(server.port, { headers });
		assert.equal(refused.status, 426, version);
		assert.equal(refused.headers.get('sec-websocket-version'), '13');
	}
	const { 'Sec-WebSocket-Version': _, ...withoutVersion } = handshakeHeaders;
	assert.equal((await request(server.port, { headers: withoutVersion })).status, 426);
});

protocol(
	'An upgrade whose `Upgrade`, `Connection` or key is missing or wrong is refused with 400, and the line names the usual cause: a proxy that does not pass them.',
	async (t) => {
		const server = await startTestServer(t);
		for (const field of ['Upgrade', 'Connection', 'Sec-WebSocket-Key'] as const) {
			for (const wrong of [
				undefined,
				'',
				'close',
				'websocketx',
				'dGhlIHNhbXBsZSBub25jZ',
				'dGhlIHNhbXBsZSBub25jZQ!!',
				'dGhlIHNhbXBsZSBub25jZQ==, x',
			]) {
				const { [field]: _, ...rest } = handshakeHeaders;
				const headers = wrong === undefined ? rest : { ...rest, [field]: wrong };
				const { status, body } = await request(server.port, { headers });
				assert.deepEqual([status, body.endsWith(`${proxyHint}\n`)], [400, true], `${field}: ${wrong}`);
				assert.match(body, new RegExp(field));
			}
		}
		// Lists and any case of letters are right (RFC 9110, section 7.6.1).
		const headers = { ...handshakeHeaders, Connection: 'keep-alive, UPGRADE', Upgrade: 'WebSocket' };
		assert.equal((await request(server.port, { headers })).status, 101);
	},
);

protocol('An upgrade by another method than GET, or with a body, is refused with 400.', async (t) => {
	const server = await startTestServer(t);
	for (const method of ['POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH']) {
		assert.equal((await request(server.port, { method, headers: handshakeHeaders })).status, 400, method);
	}
	for (const headers of [{ 'Content-Length': '5' }, { 'Transfer-Encoding': 'chunked' }]) {
		const { status, body } = await request(server.port, { headers: { ...handshakeHeaders, ...headers } });
		assert.deepEqual([status, body], [400, 'A websocket handshake has no body.\n']);
	}
});

protocol('Query strings and unknown headers are ignored.', async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room?token=%zz&x=?'), {
		headers: { 'X-Forwarded-For': '1.2.3.4', Cookie: 'a=b' },
	});
	await post(server.port, '/room?other', 'hello', { 'X-Anything': 'y', Authorization: 'Bearer z' });
	assert.equal(await subscriber.nextText(), 'hello');
	assert.doesNotMatch(JSON.stringify(server.log), /token/, 'a query string is never logged');
});

protocol('If the client offers subprotocols, the first is echoed.', async (t) => {
	const server = await startTestServer(t);
	const cases: Record<string, string> = { chat: 'chat', 'v2.chat, v1.chat': 'v2.chat', ', ,a,b': 'a' };
	for (const [offered, echoed] of Object.entries(cases)) {
		const { status, headers } = await request(server.port, {
			headers: { ...handshakeHeaders, 'Sec-WebSocket-Protocol': offered },
		});
		assert.deepEqual([status, headers.get('sec-websocket-protocol')], [101, echoed]);
	}
	const { headers } = await request(server.port, { headers: handshakeHeaders });
	assert.equal(headers.has('sec-websocket-protocol'), false);
	for (const invalid of ['a b', '', 'caf\u00e9x', '"x"']) {
		const refused = await request(server.port, { headers: { ...handshakeHeaders, 'Sec-WebSocket-Protocol': invalid } });
		assert.equal(refused.status, 400, invalid);
		assert.equal(refused.headers.has('sec-websocket-protocol'), false);
	}
});

protocol('A subscriber gets every message that is published after it has joined, and none from before.', async (t) => {
	const server = await startTestServer(t);
	const publisher = await subscribe(t, server.ws('/room'));
	await post(server.port, '/room', 'before');
	const late = await subscribe(t, server.ws('/room'));
	await post(server.port, '/room', 'after');
	assert.deepEqual(await publisher.texts(2), ['before', 'after']);
	assert.equal(await late.nextText(), 'after');

	// The same within one tick: a burst of which part is deferred, and a handshake, read together on two connections.
	for (let round = 0; round < 20; round++) {
		for (let i = 0; i < 200; i++) publisher.send(`${round}.${i}`);
		const joining = await subscribe(t, server.ws('/room'));
		publisher.send(`${round}.end`);
		const seenByPublisher = await publisher.texts(201);
		const seenByLate: string[] = [];
		do seenByLate.push(await joining.nextText());
		while (seenByLate.at(-1) !== `${round}.end`);
		assert.deepEqual(seenByLate, seenByPublisher.slice(-seenByLate.length), 'it sees one end of the order, without a gap');
		await joining.close();
	}
});

test('an upgrade that is read together with POSTs before it sees none of them', async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	const posts = Array.from({ length: 80 }, (_, i) => `POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n${10 + i}`);
	const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
	const connection = new RawConnection(server.port);
	await connection.write(`${posts.join('')}GET /room HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`);
	for (const _ of posts) assert.equal((await connection.answer()).status, 200);
	assert.equal((await connection.answer()).status, 101);
	assert.equal((await subscriber.texts(80)).length, 80);
	await post(server.port, '/room', 'after');
	assert.equal(await subscriber.nextText(), 'after');
	await connection.arrived('after');
	connection.end();
	const all = await connection.closed;
	assert.equal(all.slice(all.lastIndexOf('\r\n\r\n') + 4), '\x81\x05after');
});
