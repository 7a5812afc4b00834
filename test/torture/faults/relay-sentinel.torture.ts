// Faults of a master with a replica and three Sentinels that three nodes share, under load by websocket, POST and event stream.
import assert from 'node:assert/strict';
import { describe, type TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { startSentinels } from '../../relay/support/cluster.js';
import { Load } from '../../relay/support/load.js';
import { areReady, readiness, startNodes } from '../../relay/support/nodes.js';
import { post } from '../../support/http.js';
import { torture } from '../support/torture.js';
import { withRedis } from './support/with-redis.js';

const paths = ['/room/1', '/room/2'];

// They wait for failovers most of the time.
describe('faults of a master with Sentinels', { concurrency: 3 }, () => {
	torture(
		{
			thrown: 'the master of the Sentinels is killed',
			promised: 'All subscribers are closed, and POSTs get 503, until the Sentinels have chosen the next master.',
		},
		async (t) => {
			const { set, nodes, load } = await startLoad(t);
			const master = await set.master();
			const killedMs = performance.now();
			await master.kill();
			await load.ends(paths, killedMs);
			for (const node of nodes) {
				assert.match(await readiness(node), /^503 relay: /);
				assert.equal((await post(node.port, '/room/1', 'x')).status, 503);
			}
			await areReady(nodes);
			await load.flows();
			assert.notEqual(await set.master(), master);
			return load.judge();
		},
		withRedis,
	);

	torture(
		{
			thrown: 'the Sentinels are told to replace the master (`SENTINEL FAILOVER`)',
			promised: 'All subscribers are closed, and the nodes follow to the next master. No channel gets two orders.',
		},
		async (t) => {
			const { set, nodes, load } = await startLoad(t);
			const master = await set.master();
			const startMs = performance.now();
			await set.sentinel.run('SENTINEL', 'FAILOVER', 'rooms');
			await load.ends(paths, startMs);
			await becomes(async () => (await set.master()) !== master);
			await areReady(nodes);
			await load.flows();
			return load.judge();
		},
		withRedis,
	);

	torture(
		{
			thrown: 'the master of the Sentinels stops until they have chosen another, and goes on',
			promised: 'All subscribers are closed once. The old master never decides an order again.',
		},
		async (t) => {
			const { set, nodes, load } = await startLoad(t);
			const master = await set.master();
			const startMs = performance.now();
			master.signal('SIGSTOP');
			await load.ends(paths, startMs);
			await becomes(async () => (await set.master()) !== master);
			await areReady(nodes);
			await load.flows();
			const continuedMs = performance.now();
			master.signal('SIGCONT');
			// It takes itself for the master for some seconds, until a Sentinel tells it otherwise.
			await load.flows(paths, 100);
			assert.deepEqual(await master.run('PUBSUB', 'SHARDCHANNELS'), []);
			load.untouched(paths, continuedMs);
			return load.judge();
		},
		withRedis,
	);
});

async function startLoad(t: TestContext) {
	const set = await startSentinels(t);
	const nodes = await startNodes(t, set.url, '--relay-timeout', '1s');
	const load = new Load(t, nodes, paths);
	await load.flows();
	return { set, nodes, load };
}
