// Faults of a cluster of three masters and three replicas that three nodes share, under load by websocket, POST and event stream.
import assert from 'node:assert/strict';
import { describe, type TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { shardOf, shards, startCluster } from '../../relay/support/cluster.js';
import { Load } from '../../relay/support/load.js';
import { areReady, pathsWhere, readiness, startNodes } from '../../relay/support/nodes.js';
import { post } from '../../support/http.js';
import type { RedisProcess } from '../../support/redis.js';
import { torture } from '../support/torture.js';
import { withRedis } from './support/with-redis.js';

const pathsOf = (shard: number) => pathsWhere((slot) => shardOf(slot) === shard, 2);

// They wait for failovers most of the time.
describe('faults of a cluster', { concurrency: 3 }, () => {
	torture(
		{
			thrown: 'a master of the cluster is killed',
			promised:
				'The subscribers of its channels are closed, and no others. POSTs to these channels get 503 until its replica serves them.',
		},
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
			return load.judge();
		},
		withRedis,
	);

	torture(
		{
			thrown: 'two replicas of the cluster are told to take over (`CLUSTER FAILOVER`)',
			promised: 'The subscribers of the channels of their masters are closed, and no others. No channel gets two orders.',
		},
		async (t) => {
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
			return load.judge();
		},
		withRedis,
	);

	torture(
		{
			thrown: 'a master of the cluster stops (SIGSTOP) for less than `--relay-timeout`',
			promised: 'No subscriber is closed, and none misses a message.',
		},
		async (t) => {
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
			return load.judge();
		},
		withRedis,
	);

	torture(
		{
			thrown: 'a master of the cluster stops until its replica has taken over, and goes on',
			promised: 'The subscribers of its channels are closed once. The old master never decides an order again.',
		},
		async (t) => {
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
			return load.judge();
		},
		withRedis,
	);

	torture(
		{
			thrown: 'a master of the cluster is cut off from all other servers of it, and comes back',
			promised: 'It refuses to publish, and POSTs to its channels get 503. When it is back, they are served again.',
		},
		async (t) => {
			const { cluster, load, nodes } = await startLoad(t);
			const [master, ...others] = cluster.servers as [RedisProcess, ...RedisProcess[]];
			for (const server of others) server.signal('SIGSTOP');
			await becomes(async () => /cluster_state:fail/.test(String(await master.run('CLUSTER', 'INFO'))));
			// Until a node has given its connection up, an answer may be lost with it: 502.
			for (const node of nodes) await becomes(async () => (await post(node.port, pathsOf(0)[0] as string, 'x')).status === 503);
			for (const server of others) server.signal('SIGCONT');
			await cluster.isSettled();
			await areReady(nodes);
			await load.flows();
			return load.judge();
		},
		withRedis,
	);
});

/** Starts a cluster, three nodes, and their load on two channels of each shard. */
async function startLoad(t: TestContext, timeout = '1s') {
	const cluster = await startCluster(t);
	const nodes = await startNodes(t, cluster.url, '--relay-timeout', timeout);
	const load = new Load(t, nodes, shards.flatMap(pathsOf));
	await load.flows();
	return { cluster, nodes, load };
}
