// What may have been published is not published again, whatever becomes of its node.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { metricOf } from '../support/server.js';
import { HttpsClient } from './support/clients.js';
import type { Front } from './support/front.js';
import { needsHaproxy, startHaproxy } from './support/haproxy.js';
import { startMortal } from './support/mortal.js';
import { needsNginx, startNginx } from './support/nginx.js';
import { type Ports, startNodes } from './support/nodes.js';

/** Asks for many paths, some of which fall to a node that does not live to answer; gives which ones, and all answers' statuses. */
async function outlive(t: TestContext, method: string, start: (t: TestContext, nodes: readonly Ports[]) => Promise<Front>) {
	const [first, second] = await startNodes(t, 2);
	assert.ok(first && second);
	const { port, read } = await startMortal(t);
	// HAProxy takes it for healthy.
	const front = await start(t, [first, { port, operatorPort: first.operatorPort }, second]);
	const statuses = new Map<string, number>();
	for (let i = 0; i < 40; i++) {
		const client = new HttpsClient(t, front.port);
		const path = `/room/${i}`;
		statuses.set(`${method} ${path}`, (await client.ask(path, { method, ...(method !== 'GET' && { body: 'once' }) })).status);
	}
	const published = [first, second].map(({ operatorPort }) =>
		metricOf(operatorPort, 'pathcast_messages_received_total{source="post"}'),
	);
	return { read, statuses, published: (await Promise.all(published)).reduce((sum, count) => sum + count) };
}

async function publishesOnce(t: TestContext, method: string, start: Parameters<typeof outlive>[2]): Promise<void> {
	const { read, statuses, published } = await outlive(t, method, start);
	assert.ok(read.length > 0 && read.length < statuses.size);
	for (const [request, status] of statuses) assert.equal(status, read.includes(request) ? 502 : 200, request);
	assert.deepEqual([published, new Set(read).size], [statuses.size - read.length, read.length]);
}

const startCluster = (t: TestContext, nodes: readonly Ports[]) => startNginx(t, 'cluster.conf', nodes);

test('behind nginx, a POST that a node has read goes to no other if the node dies; a page does', needsNginx, async (t) => {
	await publishesOnce(t, 'POST', startCluster);
	const { read, statuses } = await outlive(t, 'GET', startCluster);
	assert.ok(read.length > 0);
	assert.deepEqual(new Set(statuses.values()), new Set([200]));
});

test('behind HAProxy, a POST or PUT that a node has read goes to no other if the node dies', needsHaproxy, async (t) => {
	for (const method of ['POST', 'PUT']) await publishesOnce(t, method, startHaproxy);
});
