// One node behind nginx: deploy/nginx/pathcast.conf.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openStreamOverTls } from '../support/event-stream.js';
import { post, request } from '../support/http.js';
import { tls } from '../support/tls.js';
import { HttpsClient, subscribeOver } from './support/clients.js';
import { needsNginx, startNginx } from './support/nginx.js';
import { startNodes } from './support/nodes.js';

async function startOne(t: TestContext, ...flags: string[]) {
	const [node] = await startNodes(t, 1, ...flags);
	assert.ok(node);
	const { port } = await startNginx(t, 'pathcast.conf', [node]);
	return { node, port, client: new HttpsClient(t, port) };
}

test('one node behind nginx serves the whole host over TLS: page, websockets, POST and PUT', needsNginx, async (t) => {
	const { node, port, client } = await startOne(t);
	const { body: page } = await request(node.port, {});
	assert.equal((await client.ask('/room/1')).body, page);
	for (const path of ['/', '/room/1', '/caf%C3%A9%2F%3f%2525//x/../y?token=1', '/中']) {
		const subscriber = await subscribeOver(t, port, path);
		assert.equal(await client.publish(path, 'by POST'), 1);
		assert.equal((await client.ask(path, { method: 'PUT', body: 'by PUT' })).headers['x-subscribers'], '1');
		// The node itself has the path as the client wrote it.
		assert.equal((await post(node.port, path, 'to the node')).headers.get('x-subscribers'), '1');
		subscriber.send('by websocket');
		assert.deepEqual(await subscriber.texts(4), ['by POST', 'by PUT', 'to the node', 'by websocket']);
	}
	assert.equal((await request(port, {})).status, 400);
});

test('one node behind nginx passes each event of a stream on at once, also below a prefix', needsNginx, async (t) => {
	const { port, client } = await startOne(t);
	const streams = await Promise.all(['/room/1', '/live/room/1'].map((path) => openStreamOverTls(t, { ...tls, port }, path)));
	for (const text of ['one', 'two']) {
		assert.equal(await client.publish('/room/1', text), 2);
		for (const stream of streams) assert.equal((await stream.next()).data, text);
	}
});

test('below a prefix, the rest of the path is the channel, as the client wrote it', needsNginx, async (t) => {
	const { node, port, client } = await startOne(t);
	assert.match((await client.ask('/live/')).body, /<!doctype html>/i);
	for (const path of ['/', '/room/1', '/caf%C3%A9%2F%3f%2525//x/../y', '/中']) {
		const subscriber = await subscribeOver(t, port, `/live${path}?token=1`);
		assert.equal(await client.publish(`/live${path}?token=2`, 'by POST'), 1);
		assert.equal((await post(node.port, path, 'to the node')).headers.get('x-subscribers'), '1');
		assert.deepEqual(await subscriber.texts(2), ['by POST', 'to the node']);
	}
	assert.equal((await client.ask('/%6Cive/room')).status, 404);
});

test('behind nginx, the node knows the host that was asked for, and the address of the client', needsNginx, async (t) => {
	const { node, port, client } = await startOne(
		t,
		'--origin',
		'same_origin',
		'--trust-proxy',
		'127.0.0.1',
		'--log-level',
		'debug',
	);
	const headers = { host: 'live.example.com', origin: 'https://live.example.com' };
	const forged = { ...headers, 'x-forwarded-for': '192.0.2.1' };
	const subscriber = await subscribeOver(t, port, '/room', { headers: forged, from: '127.0.0.2' });
	assert.equal(await client.publish('/room', 'same origin', headers), 1);
	assert.equal(await subscriber.nextText(), 'same origin');
	assert.equal((await node.logged('open', '/room')).ip, '127.0.0.2');
	const other = { ...headers, origin: 'https://example.com' };
	assert.equal((await client.ask('/room', { method: 'POST', body: 'lost', headers: other })).status, 403);
	await assert.rejects(subscribeOver(t, port, '/room', { headers: other }), /Unexpected server response: 403/);
});
