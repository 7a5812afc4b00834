// Channels over a cluster. Its faults are in test/torture/faults/relay-cluster.torture.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { post } from '../support/http.js';
import { needsRedis } from '../support/redis.js';
import type { TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { shardOf, shards, startCluster } from './support/cluster.js';
import { Load } from './support/load.js';
import { areReady, pathsWhere, slotOfPath, startNodes } from './support/nodes.js';

/** In slots of their own. */
const pathsOf = (shard: number) => pathsWhere((slot) => shardOf(slot) === shard, 2);

test('channels of all shards work on each node, and go to the master of their slot alone', needsRedis, async (t) => {
	const cluster = await startCluster(t);
	const nodes = await startNodes(t, cluster.url);
	for (const shard of shards) {
		const [path = ''] = pathsOf(shard);
		const [a, b, c] = nodes as [TestServer, TestServer, TestServer];
		const [alice, bob] = [await subscribe(t, a.ws(path)), await subscribe(t, b.ws(path))];
		alice.send('from alice');
		assert.deepEqual([await alice.nextText(), await bob.nextText()], ['from alice', 'from alice']);
		const { status, headers } = await post(c.port, path, 'by POST');
		assert.deepEqual([status, headers.get('x-nodes')], [200, '2']);
		assert.deepEqual([await alice.nextText(), await bob.nextText()], ['by POST', 'by POST']);
		const counts = cluster.servers.map(async (server) => {
			const [, count] = (await server.run('PUBSUB', 'SHARDNUMSUB', `pathcast:${path}`)) as [string, number];
			return count;
		});
		assert.deepEqual(
			await Promise.all(counts),
			cluster.servers.map((_, place) => (place === shard ? 2 : 0)),
		);
	}
});

test('a slot that moves closes the subscribers of its channels, and no others', needsRedis, async (t) => {
	const cluster = await startCluster(t);
	const nodes = await startNodes(t, cluster.url);
	const load = new Load(t, nodes, shards.flatMap(pathsOf));
	await load.flows();
	const [moved = '', ...stayed] = shards.flatMap(pathsOf);
	const startMs = performance.now();
	await cluster.moveSlot(slotOfPath(moved), 0, 1);
	await load.ends([moved], startMs);
	await load.flows();
	await areReady(nodes);
	load.untouched(stayed, startMs);
	t.diagnostic(await load.judge());
});
