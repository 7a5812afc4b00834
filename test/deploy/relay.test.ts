// Nodes that share their channels over a relay, behind proxies that hash nothing.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openStreamOverTls } from '../support/event-stream.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { metricOf } from '../support/server.js';
import { tls } from '../support/tls.js';
import { HttpsClient, subscribeOver } from './support/clients.js';
import type { Front } from './support/front.js';
import { needsHaproxy, startHaproxy } from './support/haproxy.js';
import { startMortal } from './support/mortal.js';
import { needsNginx, startNginx } from './support/nginx.js';
import { type Node, type Ports, startNodes } from './support/nodes.js';
import { ReturningSubscriber } from './support/returning.js';

type Start = (t: TestContext, nodes: readonly Ports[]) => Promise<Front>;

// --drain-delay is longer than nginx keeps an idle connection, and than a check of HAProxy takes.
const fronts = [
	{
		front: 'nginx',
		needed: needsRedis.skip ? needsRedis : needsNginx,
		start: (t: TestContext, nodes: readonly Ports[]) =>
			startNginx(t, 'relay.conf', nodes, [['\tkeepalive_timeout 5s;', '\tkeepalive_timeout 1s;']]),
		drainDelay: '2s',
		mortals: 2,
	},
	{
		front: 'HAProxy',
		needed: needsRedis.skip ? needsRedis : needsHaproxy,
		start: (t: TestContext, nodes: readonly Ports[]) => startHaproxy(t, nodes, [], 'relay.cfg'),
		drainDelay: '3s',
		// A second attempt avoids the node of the first. Of two dead nodes, leastconn may choose one, then the other, then the first again.
		mortals: 1,
	},
];

async function startSharingNodes(t: TestContext, ...flags: string[]): Promise<Node[]> {
	const redis = await startRedis(t);
	return startNodes(t, 3, '--relay', redis.url, ...flags);
}

/** Websockets and event streams of one channel on all nodes. */
async function servesEverywhere(t: TestContext, start: Start): Promise<void> {
	const nodes = await startSharingNodes(t);
	const { port } = await start(t, nodes);
	const streams = [];
	for (let i = 0; i < 3; i++) streams.push(await openStreamOverTls(t, { ...tls, port }, '/room/1'));
	const subscribers = [];
	for (let i = 0; i < 6; i++) subscribers.push(await subscribeOver(t, port, '/room/1?x'));
	const counts = await Promise.all(nodes.map(async (node) => (await node.channels()).get('/room/1')));
	assert.deepEqual(counts, [3, 3, 3]);

	const texts: string[] = [];
	for (let i = 0; i < 6; i++) {
		const answer = await new HttpsClient(t, port).ask('/room/1', { method: 'POST', body: `POST ${i}` });
		assert.deepEqual([answer.status, answer.headers['x-nodes']], [200, '3']);
		texts.push(`POST ${i}`);
	}
	assert.deepEqual(await subscribers[0]?.texts(6), texts);
	for (const subscriber of subscribers.slice(1)) assert.deepEqual(await subscriber.texts(6), texts);
	for (const [i, subscriber] of subscribers.entries()) subscriber.send(`websocket ${i}`);
	const [order = [], ...others] = await Promise.all(subscribers.map((subscriber) => subscriber.texts(6)));
	assert.deepEqual([...order].sort(), [0, 1, 2, 3, 4, 5].map((i) => `websocket ${i}`).sort());
	for (const other of others) assert.deepEqual(other, order);
	for (const stream of streams) for (const text of [...texts, ...order]) assert.equal((await stream.next()).data, text);
}

/** Publishes 0, 1, 2 …, one after the other, until told to stop; gives how many were accepted, and the other answers. */
async function publishUntil(isOver: () => boolean, http: HttpsClient, path: string, subscribers: readonly ReturningSubscriber[]) {
	const statuses: string[] = [];
	let accepted = 0;
	for (let message = 0; !isOver(); message++) {
		const connections = subscribers.flatMap(({ current }) => current ?? []);
		// A message without a good answer may have been published, so it is not sent again.
		const answer = await http.ask(path, { method: 'POST', body: String(message) });
		if (answer.status === 200) {
			accepted++;
			for (const connection of connections) connection.answered(message);
		} else statuses.push(`${answer.status} ${answer.body}`);
	}
	return { accepted, statuses };
}

async function restartAll(t: TestContext, start: Start, drainDelay: string) {
	const nodes = await startSharingNodes(t, '--drain', '1s', '--drain-delay', drainDelay);
	const front = await start(t, nodes);
	const http = new HttpsClient(t, front.port);
	const paths = Array.from({ length: 12 }, (_, i) => `/room/${i}`);
	const rooms = paths.map((path) => ({
		path,
		subscribers: Array.from({ length: 4 }, () => new ReturningSubscriber(t, front.port, path)),
	}));
	const everybody = rooms.flatMap(({ subscribers }) => subscribers);
	await Promise.all(everybody.map((subscriber) => subscriber.isThere()));

	let isOver = false;
	const publishing = rooms.map(({ path, subscribers }) => publishUntil(() => isOver, http, path, subscribers));
	for (const node of nodes) {
		await Promise.all(everybody.map((subscriber) => subscriber.isServed()));
		for (const { current } of everybody) current?.owes();
		await node.stop();
		await node.start();
		await front.sees(node, 'up');
	}
	await Promise.all(everybody.map((subscriber) => subscriber.isServed()));
	isOver = true;
	const published = await Promise.all(publishing);

	for (const path of paths) assert.equal((await http.ask(path, { method: 'POST', body: '1000000' })).status, 200);
	for (const subscriber of everybody) {
		await subscriber.hears(1_000_000);
		subscriber.check();
		// A subscriber whose node stops connects to another node, and the first attempt succeeds.
		assert.deepEqual(subscriber.refusals, []);
	}
	assert.ok(everybody.every(({ connections }) => connections.length <= 4));
	const closes = everybody.flatMap(({ connections }) => connections.slice(0, -1));
	// Each node had some of them.
	assert.ok(closes.length >= everybody.length, `${closes.length}`);
	for (const { subscriber } of closes) assert.equal((await subscriber.closed).code, 1012);
	for (const { accepted } of published) assert.ok(accepted > 20, `${accepted}`);
	return published.flatMap(({ statuses }) => statuses);
}

/** Asks with three nodes, of which so many do not live to answer. */
async function outlive(t: TestContext, start: Start, method: 'GET' | 'POST', mortalCount: number) {
	const redis = await startRedis(t);
	const nodes = await startNodes(t, 3 - mortalCount, '--relay', redis.url);
	const mortals = await Promise.all(Array.from({ length: mortalCount }, () => startMortal(t)));
	// HAProxy takes them for healthy.
	const operatorPort = nodes[0]?.operatorPort ?? assert.fail();
	const front = await start(t, [...mortals.map(({ port }) => ({ port, operatorPort })), ...nodes]);
	const statuses = [];
	for (let i = 0; i < 30; i++) {
		const client = new HttpsClient(t, front.port);
		statuses.push((await client.ask(`/room/${i}`, { method, ...(method === 'POST' && { body: 'once' }) })).status);
	}
	const read = mortals.flatMap(({ read }) => read);
	const counts = nodes.map((node) => metricOf(node.operatorPort, 'pathcast_messages_received_total{source="post"}'));
	const published = (await Promise.all(counts)).reduce((sum, count) => sum + count);
	return { statuses, read, published };
}

for (const { front, needed, start, mortals } of fronts) {
	test(`behind ${front}, any node of a relay serves any channel, and all hear the messages in one order`, needed, (t) =>
		servesEverywhere(t, start),
	);

	test(
		`behind ${front}, a POST that a node of a relay has read goes to no other if the node dies; a page does`,
		needed,
		async (t) => {
			const posts = await outlive(t, start, 'POST', mortals);
			assert.ok(posts.read.length > 0);
			assert.equal(new Set(posts.read).size, posts.read.length);
			assert.equal(posts.statuses.filter((status) => status === 502).length, posts.read.length);
			assert.equal(posts.statuses.filter((status) => status === 200).length, posts.published);
			assert.equal(posts.published + posts.read.length, posts.statuses.length);
			const pages = await outlive(t, start, 'GET', mortals);
			assert.ok(pages.read.length > 0);
			assert.deepEqual(new Set(pages.statuses), new Set([200]));
		},
	);
}

const title = (front: string) =>
	`behind ${front}, all nodes of a relay can be restarted under load: a subscriber misses nothing while it is connected`;

test('behind a proxy that hashes nothing, restarts lose nothing', { concurrency: 2 }, async (t) => {
	await Promise.all(
		fronts.map(({ front, needed, start, drainDelay }) =>
			t.test(title(front), needed, async (t) => {
				const refused = await restartAll(t, start, drainDelay);
				t.diagnostic(`${refused.length} POSTs were not answered with 200: ${[...new Set(refused)]}`);
				// The file says that a POST may get 502 in the moment in which a node stops listening.
				assert.deepEqual(front === 'nginx' ? refused.filter((answer) => !answer.startsWith('502 ')) : refused, []);
				// One POST is under way on each of twelve channels, and three nodes stop.
				assert.ok(refused.length <= 12 * 3, `${refused.length}`);
			}),
		),
	);
});

test(
	'behind nginx, a node that does not live to answer is left out after three requests',
	needsRedis.skip ? needsRedis : needsNginx,
	async (t) => {
		const { read } = await outlive(t, fronts[0]?.start as Start, 'POST', 2);
		// Three for each of two, and three more for each five seconds that the test takes.
		assert.ok(read.length >= 6 && read.length < 15, `${read.length}`);
	},
);

test(
	'behind nginx, the first request after all nodes of a relay were away is served',
	needsRedis.skip ? needsRedis : needsNginx,
	async (t) => {
		const nodes = await startSharingNodes(t);
		const { port } = await startNginx(t, 'relay.conf', nodes);
		const client = new HttpsClient(t, port);
		await Promise.all(nodes.map((node) => node.kill()));
		for (let i = 0; i < 12; i++) assert.equal((await client.ask('/room/1')).status, 502);
		await nodes[1]?.start();
		const subscriber = await subscribeOver(t, port, '/room/1');
		assert.equal(await client.publish('/room/1', 'back'), 1);
		assert.equal(await subscriber.nextText(), 'back');
	},
);

/** Before the proxy knows that no node has the relay, and after that. */
async function refusesWithReason(t: TestContext, start: Start): Promise<void> {
	const redis = await startRedis(t);
	const nodes = await startNodes(t, 3, '--relay', redis.url);
	const front = await start(t, nodes);
	const client = new HttpsClient(t, front.port);
	const subscriber = await subscribeOver(t, front.port, '/room/1');
	await redis.kill();
	assert.equal((await subscriber.closed).code, 1012);
	const isRefused = async () => {
		await assert.rejects(subscribeOver(t, front.port, '/room/1'), /Unexpected server response: 503/);
		for (const method of ['POST', 'GET']) {
			const headers = { accept: 'text/event-stream' };
			const answer = await client.ask('/room/1', { method, headers, ...(method === 'POST' && { body: 'lost' }) });
			assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '5'], method);
			assert.match(answer.body, /^The relay of this server cannot be reached: nothing was done/);
		}
	};
	await isRefused();
	for (const node of nodes) await front.sees(node, 'stopping');
	await isRefused();
	await redis.start();
	await Promise.all(nodes.map((node) => node.isReady()));
	const again = await subscribeOver(t, front.port, '/room/1');
	assert.equal((await client.ask('/room/1', { method: 'POST', body: 'back' })).status, 200);
	assert.equal(await again.nextText(), 'back');
}

for (const { front, needed, start } of fronts) {
	test(
		`behind ${front}, a client gets 503 with the reason while the nodes have no relay, and is served when it is back`,
		needed,
		(t) => refusesWithReason(t, start),
	);
}
