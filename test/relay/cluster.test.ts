import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { post } from '../support/http.js';
import { needsRedis, type RedisProcess } from '../support/redis.js';
import type { TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { becomes } from './support/becomes.js';
import { shardOf, shards, startCluster } from './support/cluster.js';
import { Load } from './support/load.js';
import { areReady, pathsWhere, readiness, startNodes } from './support/nodes.js';

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

test(
	'a killed master closes the subscribers of its channels, and no others, until its replica serves them',
	needsRedis,
	async (t) => {
		const { cluster, nodes, load } = await startLoad(t);
		const { master } = await cluster.rolesOf(0);
		const lost = pathsOf(0);
		const others = [...pathsOf(1), ...pathsOf(2)];
		const killedMs = performance.now();
		await master.kill();
		await load.ends(lost, killedMs);
		for (const node of nodes) {
			assert.match(await readiness(node), /^503 relay: /);
			assert.equal((await post(node.port, lost[0] as string, 'x')).status, 503);
		}
		await load.flows(others);
		await areReady(nodes);
		await load.flows();
		for (const path of lost) assert.ok(load.order(path).refusals.has('503'));
		load.untouched(others, killedMs);
		await load.judge();
	},
);

test('a failover that is asked for never gives two orders', needsRedis, async (t) => {
	const { cluster, load, nodes } = await startLoad(t);
	for (const shard of [1, 2]) {
		const { replica } = await cluster.rolesOf(shard);
		const startMs = performance.now();
		await replica.run('CLUSTER', 'FAILOVER');
		await load.ends(pathsOf(shard), startMs);
		await areReady(nodes);
		await load.flows();
		assert.equal((await cluster.rolesOf(shard)).master, replica);
		load.untouched(shards.filter((other) => other !== shard).flatMap(pathsOf), startMs);
	}
	await load.judge();
});

test('a master that is stopped and goes on in time closes nobody, and skips nothing', needsRedis, async (t) => {
	const { cluster, load, nodes } = await startLoad(t, '5s');
	const { master, replica } = await cluster.rolesOf(0);
	// However long a busy machine takes for this test.
	await replica.run('CONFIG', 'SET', 'cluster-replica-no-failover', 'yes');
	const stoppedMs = performance.now();
	master.signal('SIGSTOP');
	await load.flows([...pathsOf(1), ...pathsOf(2)], 50);
	master.signal('SIGCONT');
	await load.flows();
	for (const node of nodes) assert.match(await readiness(node), /^200 /);
	load.untouched(shards.flatMap(pathsOf), stoppedMs);
	await load.judge();
});

test('a master that is stopped until its replica has taken over is left, and never decides again', needsRedis, async (t) => {
	const { cluster, load, nodes } = await startLoad(t);
	const { master, replica } = await cluster.rolesOf(0);
	const stoppedMs = performance.now();
	master.signal('SIGSTOP');
	await load.ends(pathsOf(0), stoppedMs);
	await areReady(nodes);
	await load.flows();
	const continuedMs = performance.now();
	master.signal('SIGCONT');
	await becomes(async () => (await cluster.rolesOf(0)).master === replica);
	await load.flows();
	load.untouched(shards.flatMap(pathsOf), continuedMs);
	load.untouched([...pathsOf(1), ...pathsOf(2)], stoppedMs);
	await load.judge();
});

test('a master that has lost all other servers of the cluster refuses, until they are back', needsRedis, async (t) => {
	const { cluster, load, nodes } = await startLoad(t);
	const [master, ...others] = cluster.servers as [RedisProcess, ...RedisProcess[]];
	for (const server of others) server.signal('SIGSTOP');
	await becomes(async () => /cluster_state:fail/.test(String(await master.run('CLUSTER', 'INFO'))));
	for (const node of nodes) assert.equal((await post(node.port, pathsOf(0)[0] as string, 'x')).status, 503);
	for (const server of others) server.signal('SIGCONT');
	await cluster.isSettled();
	await areReady(nodes);
	await load.flows();
	await load.judge();
});

/** Starts a cluster, three nodes, and their load on two channels of each shard. */
async function startLoad(t: TestContext, timeout = '1s') {
	const cluster = await startCluster(t);
	const nodes = await startNodes(t, cluster.url, '--relay-timeout', timeout);
	const load = new Load(t, nodes, shards.flatMap(pathsOf));
	await load.flows();
	return { cluster, nodes, load };
}
