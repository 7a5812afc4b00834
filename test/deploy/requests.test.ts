// Single requests through the proxies of a cluster: what comes through, and what is refused.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { openStreamOverTls } from '../support/event-stream.js';
import { request } from '../support/http.js';
import { thisEngine } from '../support/malformed.js';
import { tls } from '../support/tls.js';
import { HttpsClient, subscribeOver } from './support/clients.js';
import { needsHaproxy, startHaproxy } from './support/haproxy.js';
import { needsNginx, startNginx } from './support/nginx.js';
import { type Node, startNodes } from './support/nodes.js';

const outside = '127.0.0.2';
const http10 = 'GET /1.0 HTTP/1.0\r\nHost: localhost\r\n\r\n';

/** All that comes over a connection of its own. */
function answerTo(port: number, bytes: string): Promise<string> {
	const socket = connect({ ...tls, host: '127.0.0.1', port });
	socket.write(bytes);
	return text(socket);
}

/** One node three times over, so that it is known which one has logged a connection. */
async function startNode(t: TestContext): Promise<Node[]> {
	const [node] = await startNodes(t, 1, '--trust-proxy', '127.0.0.1', '--log-level', 'debug');
	assert.ok(node);
	return [node, node, node];
}

/** Shows what both proxies do. Each test has a channel of its own. */
async function showRequests(t: TestContext, nodes: readonly Node[], port: number): Promise<HttpsClient> {
	const client = new HttpsClient(t, port);

	await t.test('the page comes through: whole, compressed where that is accepted, and not again to who has it', async () => {
		const direct = await request(nodes[0]?.port ?? 0, { path: '/page' });
		assert.match(direct.body, /<!doctype html>/i);
		const { status, headers, body } = await client.ask('/page?x=1', { from: outside });
		assert.deepEqual([status, body], [200, direct.body]);
		for (const name of ['content-type', 'content-security-policy', 'cache-control']) {
			assert.equal(headers[name], direct.headers.get(name));
		}
		assert.equal((await client.ask('/page', { method: 'HEAD' })).status, 200);
		const compressed = await client.ask('/page', { headers: { 'accept-encoding': 'br' } });
		assert.equal(compressed.headers['content-encoding'], 'br');
		const etag = String(compressed.headers.etag);
		const again = await client.ask('/page', { headers: { 'accept-encoding': 'br', 'if-none-match': etag } });
		assert.deepEqual([again.status, again.headers.etag, again.body], [304, etag, '']);
	});

	await t.test('cookies and headers that a node would drop do no harm, and 70 KB of them get 4xx at once', async (t) => {
		const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`x-header-${i}`, 'x'.repeat(20)]));
		const headers = { ...many, cookie: `session=${'x'.repeat(7_000)}` };
		const subscriber = await subscribeOver(t, port, '/cookies', { headers });
		assert.equal(await client.publish('/cookies', 'with cookies', headers), 1);
		assert.equal(await subscriber.nextText(), 'with cookies');

		const huge = { cookie: `session=${'x'.repeat(70_000)}` };
		for (const method of ['GET', 'POST']) {
			const { status } = await client.ask('/cookies', { method, headers: huge, ...(method === 'POST' && { body: 'lost' }) });
			assert.ok(status === 400 || status === 431, `${status}`);
		}
		await assert.rejects(subscribeOver(t, port, '/cookies', { headers: huge }), /Unexpected server response: 4(00|31)/);
		assert.equal(await client.publish('/cookies', 'next'), 1);
		assert.equal(await subscriber.nextText(), 'next');
	});

	await t.test('65,536 bytes are published, and more gets 413', async (t) => {
		const subscriber = await subscribeOver(t, port, '/size');
		const longest = 'x'.repeat(65_536);
		assert.equal(await client.publish('/size', longest), 1);
		assert.equal(await subscriber.nextText(), longest);
		for (const tooLong of [65_537, 3_000_000]) {
			assert.equal((await client.ask('/size', { method: 'POST', body: Buffer.alloc(tooLong, 'x') })).status, 413);
		}
		assert.equal(await client.publish('/size', 'next'), 1);
		assert.equal(await subscriber.nextText(), 'next');
	});

	await t.test(
		'each event of a stream comes through at once, uncompressed, and so does its end; a client that goes has left',
		async (t) => {
			const headers = { 'accept-encoding': 'br, gzip' };
			const stream = await openStreamOverTls(t, { ...tls, port }, '/stream?x=1', headers);
			assert.deepEqual(
				[stream.response.headers['content-encoding'], stream.response.headers['cache-control']],
				[undefined, 'no-store'],
			);
			const socket = await subscribeOver(t, port, '/stream');
			for (const text of ['a\nb', 'x'.repeat(65_536), 'last']) {
				assert.equal(await client.publish('/stream', text), 2);
				// Nothing is published before this event has come.
				assert.equal((await stream.next()).data, text);
				assert.equal(await socket.nextText(), text);
			}
			const goes = await openStreamOverTls(t, { ...tls, port }, '/stream');
			goes.socket.destroy();
			while ((await client.publish('/stream', 'x')) > 2);
			await request(nodes[0]?.operatorPort ?? 0, { method: 'DELETE', path: '/channels/stream' });
			assert.equal(await stream.closed, 'ended');
		},
	);

	await t.test('only addresses inside may POST; anybody may subscribe, and the node knows from where', async (t) => {
		const subscriber = await subscribeOver(t, port, '/inside', { headers: { 'x-forwarded-for': '192.0.2.1' }, from: outside });
		const opened = await nodes[0]?.logged('open', '/inside');
		assert.equal(opened?.ip, outside);
		for (const method of ['POST', 'PUT', 'DELETE']) {
			assert.equal((await client.ask('/inside', { method, body: 'from outside', from: outside })).status, 403, method);
		}
		assert.equal(await client.publish('/inside', 'from inside'), 1);
		assert.equal(await subscriber.nextText(), 'from inside');
	});

	await t.test('a compressed body gets 415, as it does without a proxy', async (t) => {
		const subscriber = await subscribeOver(t, port, '/compressed');
		const headers = { 'content-encoding': 'gzip' };
		const { status, headers: answered } = await client.ask('/compressed', { method: 'POST', headers, body: 'lost' });
		assert.deepEqual([status, answered['accept-encoding']], [415, 'identity']);
		assert.equal(await client.publish('/compressed', 'plain'), 1);
		assert.equal(await subscriber.nextText(), 'plain');
	});

	await t.test('a client that waits for 100 before it sends its body gets it', async (t) => {
		const subscriber = await subscribeOver(t, port, '/waits');
		const socket = connect({ ...tls, host: '127.0.0.1', port });
		t.after(() => socket.destroy());
		socket.write('POST /waits HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
		assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 100 /);
		socket.write('body');
		assert.equal(await subscriber.nextText(), 'body');
	});

	await t.test('a raw # in a path, which would hash otherwise than %23, gets 400', async (t) => {
		const subscriber = await subscribeOver(t, port, '/a%23b');
		assert.equal((await client.ask('/a#b', { method: 'POST', body: 'lost' })).status, 400);
		assert.equal(await client.publish('/a%23b', 'encoded'), 1);
		assert.equal(await subscriber.nextText(), 'encoded');
	});
	return client;
}

test('nginx in front of nodes passes on what they take, and refuses the rest', needsNginx, async (t) => {
	const nodes = await startNode(t);
	const { port } = await startNginx(t, 'cluster.conf', nodes);
	const client = await showRequests(t, nodes, port);

	await t.test('HTTP/1.0 is understood', async () => {
		assert.match(await answerTo(port, http10), /^HTTP\/1.1 200 /);
	});

	await t.test('an address outside may have 50 websockets, and send 100 requests at once: more get 429', async (t) => {
		for (let i = 0; i < 50; i++) await subscribeOver(t, port, `/limits/${i}`, { from: '127.0.0.3' });
		await assert.rejects(subscribeOver(t, port, '/limits', { from: '127.0.0.3' }), /Unexpected server response: 429/);
		// Others are not concerned.
		await subscribeOver(t, port, '/limits', { from: '127.0.0.4' });
		for (let i = 0; i < 60; i++) await subscribeOver(t, port, '/limits');
		const statuses = new Set<number>();
		for (let i = 0; i < 200; i++) statuses.add((await client.ask('/limits', { from: '127.0.0.5' })).status);
		assert.deepEqual([...statuses], [200, 429]);
	});
});

test('HAProxy in front of nodes passes on what they take, and refuses the rest', needsHaproxy, async (t) => {
	const nodes = await startNode(t);
	const { port } = await startHaproxy(t, nodes);
	const client = await showRequests(t, nodes, port);

	await t.test('HTTP/1.0 and raw bytes that are not ASCII get 400', async () => {
		assert.match(await answerTo(port, http10), /^HTTP\/1.[01] 400 /);
		assert.equal((await client.ask('/é')).status, 400);
	});

	await t.test('HTTP/2 that begins without asking gets 400', async () => {
		assert.match(await answerTo(port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /^HTTP\/1.[01] 400 /);
	});

	await t.test('a chunked body gets 411, as the engine may take for a request what follows it', async () => {
		const { status, body } = await client.ask('/chunked', { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } });
		assert.deepEqual([status, body], [411, 'Send a Content-Length.\n']);
	});
});

// For nginx see waiting.test.ts.
test(
	"behind HAProxy, requests that a node's engine drops, or that the node refuses, do not move the node's channels",
	needsHaproxy,
	async (t) => {
		const { port } = await startHaproxy(t, await startNodes(t, 3));
		const subscriber = await subscribeOver(t, port, '/room');
		for (let i = 0; i < 10; i++) {
			const client = new HttpsClient(t, port);
			assert.equal((await client.ask('/room', { method: 'PROPFIND' })).status, thisEngine === 'older' ? 502 : 405);
			assert.equal(await client.publish('/room', String(i)), 1);
			assert.equal(await subscriber.nextText(), String(i));
		}
	},
);
