import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { seededRandom } from '../support/random.js';
import { needsRedis } from '../support/redis.js';
import type { TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { shardOf, shards, startCluster } from './support/cluster.js';
import { Load } from './support/load.js';
import { areReady, pathsWhere, slotOfPath, startNodes } from './support/nodes.js';

/** In slots of their own. */
const pathsOf = (shard: number) => pathsWhere((slot) => shardOf(slot) === shard, 3);

test('a slot that moves closes the subscribers of its channels, and no others', needsRedis, async (t) => {
	const { cluster, nodes, load } = await startLoad(t);
	const [moved = '', ...stayed] = shards.flatMap(pathsOf);
	const startMs = performance.now();
	await cluster.moveSlot(slotOfPath(moved), 0, 1);
	await load.ends([moved], startMs);
	await load.flows();
	await areReady(nodes);
	load.untouched(stayed, startMs);
	await load.judge();
});

test('slots that move one after another close the subscribers of their channels, and no others', needsRedis, async (t) => {
	const { cluster, nodes, load } = await startLoad(t);
	const stayed = shards.flatMap(pathsOf);
	const moved = pathsWhere((slot) => shardOf(slot) === 0 && !stayed.map(slotOfPath).includes(slot), 30);
	const subscribers = await Promise.all(moved.flatMap((path) => nodes.map((node) => subscribe(t, node.ws(path)))));
	const startMs = performance.now();
	for (const path of moved) await cluster.moveSlot(slotOfPath(path), 0, 1);
	const ends = await Promise.all(subscribers.map(({ closed }) => closed));
	assert.deepEqual([...new Set(ends.map(({ code }) => code))], [1012]);
	await areReady(nodes);
	await load.flows();
	load.untouched(stayed, startMs);
	await load.judge();
});

test('a slot that goes and comes back at once closes the subscribers of its channels', needsRedis, async (t) => {
	const { cluster, nodes, load } = await startLoad(t);
	const [moved = ''] = pathsOf(0);
	const startMs = performance.now();
	await cluster.moveSlot(slotOfPath(moved), 0, 1);
	await cluster.moveSlot(slotOfPath(moved), 1, 0);
	await load.ends([moved], startMs);
	await load.flows();
	await areReady(nodes);
	load.untouched([...pathsOf(1), ...pathsOf(2)], startMs);
	await load.judge();
});

test('while channels come and go, slots that move close no subscriber of others', needsRedis, async (t) => {
	const random = seededRandom(t);
	const { cluster, nodes, load } = await startLoad(t, '--relay-linger', '1s');
	const moved = pathsOf(0);
	const startMs = performance.now();
	let isOver = false;
	// Each leaves a subscription that is ended a second later: subscriptions are made and ended while the slots move.
	const comeAndGo = async (node: TestServer) => {
		while (!isOver) {
			const path = `/passing/${random.below(5_000)}`;
			await subscribe(t, node.ws(path)).then(
				(subscriber) => subscriber.close(),
				() => {},
			);
		}
	};
	const passing = [...nodes, ...nodes].map(comeAndGo);
	for (let turn = 0; turn < 6; turn++) {
		const [from, to] = turn % 2 === 0 ? [0, 1] : [1, 0];
		for (const path of moved) await cluster.moveSlot(slotOfPath(path), from as number, to as number);
		await load.flows();
	}
	isOver = true;
	await Promise.all(passing);
	await load.ends(moved, startMs);
	await areReady(nodes);
	load.untouched(pathsOf(2), startMs);
	await load.judge();
});

async function startLoad(t: TestContext, ...flags: string[]) {
	const cluster = await startCluster(t);
	const nodes = await startNodes(t, cluster.url, ...flags);
	const load = new Load(t, nodes, shards.flatMap(pathsOf));
	await load.flows();
	return { cluster, nodes, load };
}
