// Single requests through the proxies of a cluster: what comes through, and what is refused.
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { request } from '../support/http.js';
import { HttpsClient, subscribeOver } from './support/clients.js';
import { tls } from './support/deployed.js';
import type { Front } from './support/front.js';
import { needsHaproxy, startHaproxy } from './support/haproxy.js';
import { needsNginx, startNginx } from './support/nginx.js';
import { type Node, startNodes } from './support/nodes.js';

type Start = (t: TestContext, nodes: readonly Node[]) => Promise<Front>;

async function startAll(t: TestContext, start: Start) {
	const nodes = await startNodes(t, 3);
	const { port } = await start(t, nodes);
	return { nodes, port, client: new HttpsClient(t, port) };
}

const outside = '127.0.0.2';

const http10 = 'GET /room HTTP/1.0\r\nHost: localhost\r\n\r\n';

/** All that comes over a connection of its own. */
function answerTo(port: number, bytes: string): Promise<string> {
	const socket = connect({ ...tls, host: '127.0.0.1', port });
	socket.write(bytes);
	return text(socket);
}

function behind(name: string, needed: { skip: string | false }, start: Start): void {
	test(`behind ${name}, the page comes through, whole`, needed, async (t) => {
		const { nodes, client } = await startAll(t, start);
		const direct = await request(nodes[0]?.port ?? 0, { path: '/room/1' });
		assert.match(direct.body, /<!doctype html>/i);
		const { status, headers, body } = await client.ask('/room/1?x=1', { from: outside });
		assert.deepEqual([status, body], [200, direct.body]);
		for (const header of ['content-type', 'content-security-policy', 'cache-control'])
			assert.equal(headers[header], direct.headers.get(header));
		assert.equal((await client.ask('/room/1', { method: 'HEAD' })).status, 200);
	});

	test(
		`behind ${name}, cookies and headers that a node would drop do no harm, and 70 KB of them get 4xx at once`,
		needed,
		async (t) => {
			const { port, client } = await startAll(t, start);
			const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`x-header-${i}`, 'x'.repeat(20)]));
			const headers = { ...many, cookie: `session=${'x'.repeat(7_000)}` };
			const subscriber = await subscribeOver(t, port, '/room', { headers });
			assert.equal(await client.publish('/room', 'with cookies', headers), 1);
			assert.equal(await subscriber.nextText(), 'with cookies');

			const huge = { cookie: `session=${'x'.repeat(70_000)}` };
			for (const method of ['GET', 'POST']) {
				const { status } = await client.ask('/room', { method, headers: huge, ...(method === 'POST' && { body: 'lost' }) });
				assert.ok(status === 400 || status === 431, `${status}`);
			}
			await assert.rejects(subscribeOver(t, port, '/room', { headers: huge }), /Unexpected server response: 4(00|31)/);
			assert.equal(await client.publish('/room', 'next'), 1);
			assert.equal(await subscriber.nextText(), 'next');
		},
	);

	test(`behind ${name}, 65,536 bytes are published, and more gets 413`, needed, async (t) => {
		const { port, client } = await startAll(t, start);
		const subscriber = await subscribeOver(t, port, '/room');
		const longest = 'x'.repeat(65_536);
		assert.equal(await client.publish('/room', longest), 1);
		assert.equal(await subscriber.nextText(), longest);
		for (const tooLong of [65_537, 3_000_000]) {
			assert.equal((await client.ask('/room', { method: 'POST', body: Buffer.alloc(tooLong, 'x') })).status, 413);
		}
		assert.equal(await client.publish('/room', 'next'), 1);
		assert.equal(await subscriber.nextText(), 'next');
	});

	test(`behind ${name}, only addresses inside may POST; anybody may subscribe`, needed, async (t) => {
		const { port, client } = await startAll(t, start);
		const subscriber = await subscribeOver(t, port, '/room', { from: outside });
		for (const method of ['POST', 'PUT', 'DELETE']) {
			assert.equal((await client.ask('/room', { method, body: 'from outside', from: outside })).status, 403, method);
		}
		assert.equal(await client.publish('/room', 'from inside'), 1);
		assert.equal(await subscriber.nextText(), 'from inside');
	});

	test(`behind ${name}, the node knows the address of the client, whatever the client says`, needed, async (t) => {
		const [node] = await startNodes(t, 1, '--trust-proxy', '127.0.0.1', '--log-level', 'debug');
		assert.ok(node);
		const { port } = await start(t, [node, node, node]);
		await subscribeOver(t, port, '/room', { headers: { 'x-forwarded-for': '192.0.2.1' }, from: outside });
		assert.equal((await node.logged('open')).ip, outside);
	});

	test(`behind ${name}, a raw # in a path, which would hash otherwise than %23, gets 400`, needed, async (t) => {
		const { port, client } = await startAll(t, start);
		const subscriber = await subscribeOver(t, port, '/a%23b');
		assert.equal((await client.ask('/a#b', { method: 'POST', body: 'lost' })).status, 400);
		assert.equal(await client.publish('/a%23b', 'encoded'), 1);
		assert.equal(await subscriber.nextText(), 'encoded');
	});
}

const startCluster: Start = (t, nodes) => startNginx(t, 'cluster.conf', nodes);
behind('nginx', needsNginx, startCluster);
behind('HAProxy', needsHaproxy, startHaproxy);

test(
	'behind nginx, an address outside may have 50 websockets, and send 100 requests at once: more get 429',
	needsNginx,
	async (t) => {
		const { port, client } = await startAll(t, startCluster);
		for (let i = 0; i < 50; i++) await subscribeOver(t, port, `/room/${i}`, { from: outside });
		await assert.rejects(subscribeOver(t, port, '/room', { from: outside }), /Unexpected server response: 429/);
		// Others are not concerned.
		await subscribeOver(t, port, '/room', { from: '127.0.0.3' });
		for (let i = 0; i < 60; i++) await subscribeOver(t, port, '/room');
		const statuses = new Set<number>();
		for (let i = 0; i < 200; i++) statuses.add((await client.ask('/room', { from: '127.0.0.4' })).status);
		assert.deepEqual([...statuses], [200, 429]);
	},
);

test('behind nginx, HTTP/1.0 is understood', needsNginx, async (t) => {
	const { port } = await startAll(t, startCluster);
	assert.match(await answerTo(port, http10), /^HTTP\/1.1 200 /);
});

test('behind HAProxy, HTTP/1.0 and raw bytes that are not ASCII get 400', needsHaproxy, async (t) => {
	const { port, client } = await startAll(t, startHaproxy);
	assert.match(await answerTo(port, http10), /^HTTP\/1.[01] 400 /);
	assert.equal((await client.ask('/é')).status, 400);
});

test('behind HAProxy, a chunked body gets 411, as the engine may take for a request what follows it', needsHaproxy, async (t) => {
	const { client } = await startAll(t, startHaproxy);
	const { status, body } = await client.ask('/room', { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } });
	assert.deepEqual([status, body], [411, 'Send a Content-Length.\n']);
});

// For nginx see waiting.test.ts.
test("behind HAProxy, requests that a node drops without an answer do not move the node's channels", needsHaproxy, async (t) => {
	const { port, client } = await startAll(t, startHaproxy);
	const subscriber = await subscribeOver(t, port, '/room');
	for (let i = 0; i < 10; i++) {
		assert.equal((await new HttpsClient(t, port).ask('/room', { method: 'PROPFIND' })).status, 502);
		assert.equal(await client.publish('/room', String(i)), 1);
		assert.equal(await subscriber.nextText(), String(i));
	}
});
