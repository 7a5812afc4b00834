import assert from 'node:assert/strict';
import { handshakeHeaders, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

protocol('GET of any valid path shows the test page, and HEAD its headers.', async (t) => {
	const server = await startTestServer(t);
	const paths = ['/', '/room/1', '/caf%C3%A9?x', '//a', '/%3Cscript%3E', '/favicon.ico'];
	for (const path of paths) {
		const page = await request(server.port, { path });
		assert.equal(page.status, 200);
		assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8');
		assert.match(
			page.headers.get('content-security-policy') ?? '',
			/^default-src 'none'; script-src 'sha256-[^ ]+'; style-src 'sha256-[^ ]+';/,
		);
		assert.match(page.body, /<title>pathcast<\/title>/);
		const head = await request(server.port, { path, method: 'HEAD' });
		for (const answer of [page, head]) (answer.headers as Map<string, string>).delete('date');
		assert.deepEqual([head.status, head.body, new Map([...head.headers].sort())], [200, '', new Map([...page.headers].sort())]);
	}
	const refused = await request(server.port, { path: '/%', method: 'HEAD' });
	assert.deepEqual([refused.status, refused.headers.get('content-length')], [400, '87']);
});

protocol('Other methods are refused with 405 and `Allow`.', async (t) => {
	const server = await startTestServer(t);
	for (const method of ['DELETE', 'PATCH', 'TRACE']) {
		const { status, headers } = await request(server.port, { method, path: '/room' });
		assert.deepEqual([status, headers.get('allow')], [405, 'GET, HEAD, POST, PUT, OPTIONS']);
	}
});

protocol("With `--post admin`, POST and PUT are refused with 405 too: only the operator's listener publishes.", async (t) => {
	const server = await startTestServer(t, '--post', 'admin', '--origin', 'https://example.com');
	const subscriber = await subscribe(t, server.ws('/room'));
	for (const method of ['POST', 'PUT', 'DELETE']) {
		const { status, headers, body } = await request(server.port, { method, path: '/room', body: 'refused' });
		assert.deepEqual([status, headers.get('allow')], [405, 'GET, HEAD, OPTIONS']);
		assert.match(body, /^The methods here are GET, HEAD, OPTIONS; .*operator's listener.*\n$/);
	}
	const plain = await request(server.port, { method: 'OPTIONS' });
	assert.equal(plain.headers.get('allow'), 'GET, HEAD, OPTIONS');
	const preflight = await request(server.port, { method: 'OPTIONS', headers: { Origin: 'https://example.com' } });
	assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET, HEAD, OPTIONS');
	subscriber.send('by websocket');
	assert.equal(await subscriber.nextText(), 'by websocket');
});

protocol(
	'Every refusal is `text/plain; charset=utf-8`, one line that says what was wrong and what would be right, and never echoes input into a header.',
	async (t) => {
		const server = await startTestServer(t, '--origin', 'https://example.com', '--max-message', '1KiB');
		const poison = 'poison';
		const headers = { 'X-Poison': poison };
		const refusals = [
			{ path: `/${poison}%` },
			{ path: `/${poison}%ff` },
			{ path: `/${poison.repeat(100)}` },
			{ path: `/${poison}`, headers: { Upgrade: 'websocket', Connection: poison } },
			{ path: `/${poison}`, headers: { ...handshakeHeaders, 'Sec-WebSocket-Version': poison } },
			{ path: `/${poison}`, headers: { ...handshakeHeaders, 'Sec-WebSocket-Protocol': `${poison} ${poison}` } },
			{ path: `/${poison}`, headers: { ...handshakeHeaders, Origin: `https://${poison}` } },
			{ path: `/${poison}`, headers: { ...headers, 'Transfer-Encoding': poison } },
			{ method: 'DELETE', path: `/${poison}` },
			{ method: 'POST', path: `/${poison}`, headers: { Origin: `https://${poison}` } },
			{ method: 'POST', path: `/${poison}`, headers: handshakeHeaders },
			{ method: 'POST', path: `/${poison}`, headers: { 'If-Match': '*' }, body: poison },
			{ method: 'POST', path: `/${poison}`, headers: { 'If-Match': poison }, body: poison },
			{ method: 'POST', path: `/${poison}`, body: Buffer.from([0xff]) },
			{ method: 'POST', path: `/${poison}`, body: poison.repeat(1_000) },
		];
		for (const refusal of refusals) {
			const answer = await request(server.port, refusal);
			assert.ok(answer.status >= 400 && answer.status < 500, JSON.stringify(refusal));
			assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8');
			assert.match(answer.body, /^[A-Z][^\n]{20,}\.\n$/);
			assert.doesNotMatch([...answer.headers.values()].join('\n'), /poison/);
		}
	},
);
