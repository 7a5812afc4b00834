// Slots of a cluster that move while three nodes publish on channels of all slots.
import assert from 'node:assert/strict';
import { describe, type TestContext } from 'node:test';
import { shardOf, shards, startCluster } from '../../relay/support/cluster.js';
import { Load } from '../../relay/support/load.js';
import { areReady, pathsWhere, slotOfPath, startNodes } from '../../relay/support/nodes.js';
import { seededRandom } from '../../support/random.js';
import type { TestServer } from '../../support/server.js';
import { subscribe } from '../../support/subscriber.js';
import { inForm, torture } from '../support/torture.js';
import { withRedis } from './support/with-redis.js';

const slotsMoved = inForm(30, 300);
const turns = inForm(6, 60);

/** In slots of their own. */
const pathsOf = (shard: number) => pathsWhere((slot) => shardOf(slot) === shard, 3);

describe('slots of a cluster', { concurrency: 3 }, () => {
	torture(
		{
			thrown: 'many slots move to another master, one after another',
			promised: 'The subscribers of their channels are closed with 1012, and no others.',
		},
		async (t) => {
			const { cluster, nodes, load } = await startLoad(t);
			const stayed = shards.flatMap(pathsOf);
			const moved = pathsWhere((slot) => shardOf(slot) === 0 && !stayed.map(slotOfPath).includes(slot), slotsMoved);
			const subscribers = await Promise.all(moved.flatMap((path) => nodes.map((node) => subscribe(t, node.ws(path)))));
			const startMs = performance.now();
			for (const path of moved) await cluster.moveSlot(slotOfPath(path), 0, 1);
			const ends = await Promise.all(subscribers.map(({ closed }) => closed));
			assert.deepEqual([...new Set(ends.map(({ code }) => code))], [1012]);
			await areReady(nodes);
			await load.flows();
			load.untouched(stayed, startMs);
			return `${moved.length} slots moved; ${ends.length} subscribers closed with 1012. Of slots that stayed: ${await load.judge()}`;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'a slot moves to another master and comes back at once',
			promised: 'The subscribers of its channels are closed, and no channel gets two orders.',
		},
		async (t) => {
			const { cluster, nodes, load } = await startLoad(t);
			const [moved = ''] = pathsOf(0);
			const startMs = performance.now();
			await cluster.moveSlot(slotOfPath(moved), 0, 1);
			await cluster.moveSlot(slotOfPath(moved), 1, 0);
			await load.ends([moved], startMs);
			await load.flows();
			await areReady(nodes);
			load.untouched([...pathsOf(1), ...pathsOf(2)], startMs);
			return load.judge();
		},
		withRedis,
	);

	torture(
		{
			thrown: 'slots move to and fro while clients open and leave channels',
			promised: 'No subscriber of an uninvolved master is closed, and no channel gets two orders.',
		},
		async (t) => {
			const random = seededRandom(t);
			const { cluster, nodes, load } = await startLoad(t, '--relay-linger', '1s');
			const moved = pathsOf(0);
			const startMs = performance.now();
			let isOver = false;
			let passed = 0;
			// Each leaves a subscription that is ended a second later: subscriptions are made and ended while the slots move.
			const comeAndGo = async (node: TestServer) => {
				while (!isOver) {
					const path = `/passing/${random.below(5_000)}`;
					await subscribe(t, node.ws(path)).then(
						(subscriber) => {
							passed++;
							return subscriber.close();
						},
						() => {},
					);
				}
			};
			const passing = [...nodes, ...nodes].map(comeAndGo);
			for (let turn = 0; turn < turns; turn++) {
				const [from, to] = turn % 2 === 0 ? [0, 1] : [1, 0];
				for (const path of moved) await cluster.moveSlot(slotOfPath(path), from as number, to as number);
				await load.flows();
			}
			isOver = true;
			await Promise.all(passing);
			await load.ends(moved, startMs);
			await areReady(nodes);
			load.untouched(pathsOf(2), startMs);
			return `${turns * moved.length} moves, ${passed} clients came and went; ${await load.judge()}`;
		},
		withRedis,
	);
});

async function startLoad(t: TestContext, ...flags: string[]) {
	const cluster = await startCluster(t);
	const nodes = await startNodes(t, cluster.url, ...flags);
	const load = new Load(t, nodes, shards.flatMap(pathsOf));
	await load.flows();
	return { cluster, nodes, load };
}
