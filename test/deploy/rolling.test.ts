// Planned restarts lose nothing: clients are sent away and come back to the same node.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { HttpsClient } from './support/clients.js';
import type { Front } from './support/front.js';
import { needsHaproxy, startHaproxy } from './support/haproxy.js';
import { needsNginx, startNginx } from './support/nginx.js';
import { type Node, startNodes } from './support/nodes.js';
import { ReturningSubscriber } from './support/returning.js';

/** Publishes 0, 1, 2 …, one after the other, until told to stop; gives how many were accepted. */
async function publishUntil(isOver: () => boolean, http: HttpsClient, path: string, subscribers: readonly ReturningSubscriber[]) {
	let accepted = 0;
	for (let message = 0; !isOver(); message++) {
		const connections = subscribers.flatMap(({ current }) => current ?? []);
		// A message without an answer may have been published, so it is not sent again.
		const answer = await http.ask(path, { method: 'POST', body: String(message) }).catch(() => undefined);
		if (answer?.status === 200) {
			accepted++;
			await Promise.all(connections.map((connection) => connection.published(message)));
		} else {
			assert.ok([undefined, 502, 503].includes(answer?.status), `${answer?.status}`);
			await setTimeout(10);
		}
	}
	return accepted;
}

async function restartAll(t: TestContext, front: Front, nodes: readonly Node[]): Promise<void> {
	const http = new HttpsClient(t, front.port);
	const paths = Array.from({ length: 24 }, (_, i) => `/room/${i}`);
	const rooms = paths.map((path) => ({ path, subscribers: [0, 1].map(() => new ReturningSubscriber(t, front.port, path)) }));
	const everybody = rooms.flatMap(({ subscribers }) => subscribers);
	await Promise.all(everybody.map((subscriber) => subscriber.isThere()));
	const home = await Promise.all(nodes.map((node) => node.channels()));

	let isOver = false;
	const publishing = rooms.map(({ path, subscribers }) => publishUntil(() => isOver, http, path, subscribers));
	await Promise.all(everybody.map((subscriber) => subscriber.isServedBy(1)));
	await front.hold();
	for (const [i, node] of nodes.entries()) {
		await node.stop();
		await node.start();
		const guests = everybody.filter(({ path }) => home[i]?.has(path));
		await Promise.all(guests.map((guest) => guest.isServedBy(2)));
	}
	await front.release();
	isOver = true;
	for (const accepted of await Promise.all(publishing)) assert.ok(accepted > 20, `${accepted}`);

	// Over connections of its own: with each reload nginx closes those that are idle, perhaps just when they are used.
	const publisher = new HttpsClient(t, front.port);
	for (const path of paths) assert.equal(await publisher.publish(path, '1000000'), 2);
	for (const subscriber of everybody) {
		assert.ok(subscriber.connections.length > 1);
		assert.ok(subscriber.connections.every(({ owed }) => owed.length > 0));
		subscriber.check();
	}
	assert.deepEqual(await Promise.all(nodes.map((node) => node.channels())), home);
}

const title = (front: string) =>
	`behind ${front}, all nodes can be restarted under load: what is published while a client is connected reaches it, in order and once`;

test('behind a proxy, planned restarts lose nothing', { concurrency: 2 }, async (t) => {
	await Promise.all([
		t.test(title('nginx'), needsNginx, async (t) => {
			const nodes = await startNodes(t, 3, '--drain', '1s');
			await restartAll(t, await startNginx(t, 'cluster.conf', nodes), nodes);
		}),
		t.test(title('HAProxy'), needsHaproxy, async (t) => {
			const nodes = await startNodes(t, 3, '--drain', '1s');
			await restartAll(t, await startHaproxy(t, nodes), nodes);
		}),
	]);
});
