import assert from 'node:assert/strict';
import { handshakeHeaders, post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

/** The number of subscribers that a path has, by an empty POST, which publishes nothing. */
async function subscribers(port: number, path: string): Promise<number> {
	const { status, headers, body } = await post(port, path, '');
	assert.equal(status, 200, body);
	return Number(headers.get('x-subscribers'));
}

protocol(
	'The channel is the request path, percent-decoded once, without the query: `/caf%C3%A9`, `/café` and `/café?x=1` are one channel.',
	async (t) => {
		const server = await startTestServer(t);
		const subscriber = await subscribe(t, server.ws('/caf%C3%A9'));
		for (const path of ['/caf%C3%A9', '/café', '/café?x=1', '/%63af%c3%a9?%zz', '/café?']) {
			assert.equal((await post(server.port, path, path)).headers.get('x-subscribers'), '1', path);
			assert.equal(await subscriber.nextText(), path);
		}
		// Decoded once: the result is not decoded again.
		assert.equal(await subscribers(server.port, '/caf%25C3%25A9'), 0);
	},
);

protocol('Nothing else is normalised: `/a`, `/a/`, `//a` and `/a/../a` are four channels.', async (t) => {
	const server = await startTestServer(t);
	const paths = ['/a', '/a/', '//a', '/a/../a', '/A', '/a%2F%2F', '/%2Fa%00', '/+', '/#', '/a#b'];
	const subscribersByPath = new Map<string, Awaited<ReturnType<typeof subscribe>>>();
	for (const path of paths) {
		subscribersByPath.set(path, await subscribe(t, server.ws(path)));
	}
	assert.equal(await metric(server, 'pathcast_channels'), paths.length);
	for (const path of paths) {
		assert.equal((await post(server.port, path, path)).headers.get('x-subscribers'), '1', path);
		assert.equal(await subscribersByPath.get(path)?.nextText(), path);
	}
});

protocol(
	'A path has 1 to 256 Unicode code points, the leading slash included (`--max-path`); a longer one is refused with 400.',
	async (t) => {
		const server = await startTestServer(t);
		for (const character of ['a', 'é', '%C3%A9', '%F0%9F%98%80', '%25']) {
			assert.equal(await subscribers(server.port, `/${character.repeat(255)}`), 0);
			const { status, body } = await post(server.port, `/${character.repeat(256)}`, 'x');
			assert.deepEqual(
				[status, body],
				[400, 'The path is longer than 256 characters, its leading slash included (--max-path).\n'],
			);
		}
		const short = await startTestServer(t, '--max-path', '1');
		assert.equal(await subscribers(short.port, '/'), 0);
		assert.equal((await request(short.port, { path: '/a' })).status, 400);
		assert.equal((await request(short.port, { path: '/a', headers: handshakeHeaders })).status, 400);
	},
);

protocol('A path with a malformed `%`, or that is not valid UTF-8 after decoding, is refused with 400.', async (t) => {
	const server = await startTestServer(t);
	const malformed = 'The path holds a % without two hexadecimal digits after it: write %25 for a literal %.\n';
	const notUtf8 = 'The path is not valid UTF-8 after percent-decoding: encode it as UTF-8.\n';
	const paths: Record<string, string> = {
		'/%': malformed,
		'/100%': malformed,
		'/%z0': malformed,
		'/%0': malformed,
		'/%%20': malformed,
		'/%u0041': malformed,
		'/%ff': notUtf8,
		'/%C3': notUtf8,
		'/%C3/%A9': notUtf8,
		'/%C0%AF': notUtf8,
		'/%ED%A0%80': notUtf8,
		'/%F4%90%80%80': notUtf8,
	};
	for (const [path, reason] of Object.entries(paths)) {
		for (const refused of [
			await post(server.port, path, 'x'),
			await request(server.port, { path }),
			await request(server.port, { path, headers: handshakeHeaders }),
		]) {
			assert.deepEqual([refused.status, refused.body], [400, reason], path);
		}
	}
});

protocol(
	'A path with raw bytes that are not UTF-8, or with a raw U+FFFD, is refused with 400; `/%EF%BF%BD` is valid.',
	async (t) => {
		const server = await startTestServer(t);
		for (const bytes of ['/caf\xe9', '/\xff', '/\xef\xbf\xbd', '/\xed\xa0\x80', '/\xc3']) {
			const connection = new RawConnection(server.port);
			await connection.write(`GET ${bytes} HTTP/1.1\r\nHost: x\r\n\r\n`);
			const { status, body } = await connection.answer();
			connection.end();
			assert.deepEqual([status, body], [400, 'The path holds raw bytes that are not UTF-8: percent-encode it as UTF-8.\n']);
		}
		const subscriber = await subscribe(t, server.ws('/%EF%BF%BD'));
		await post(server.port, '/%ef%bf%bd', 'valid');
		assert.equal(await subscriber.nextText(), 'valid');
	},
);

protocol('A channel exists from its first subscriber to its last; after that, nothing is kept of it.', async (t) => {
	const server = await startTestServer(t);
	assert.equal((await post(server.port, '/room', 'too early')).headers.get('x-subscribers'), '0');
	const first = await subscribe(t, server.ws('/room'));
	const second = await subscribe(t, server.ws('/room'));
	assert.equal(await subscribers(server.port, '/room'), 2);
	await first.close();
	assert.equal(await subscribers(server.port, '/room'), 1);
	assert.equal(await metric(server, 'pathcast_channels'), 1);
	await second.close();
	assert.equal(await metric(server, 'pathcast_channels'), 0);
	assert.equal(await metric(server, 'pathcast_subscribers'), 0);
	assert.equal((await post(server.port, '/room', 'too late')).headers.get('x-subscribers'), '0');
	const third = await subscribe(t, server.ws('/room'));
	await post(server.port, '/room', 'now');
	assert.equal(await third.nextText(), 'now');
});
