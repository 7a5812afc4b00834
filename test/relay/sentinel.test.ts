import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { post } from '../support/http.js';
import { needsRedis } from '../support/redis.js';
import { becomes } from './support/becomes.js';
import { startSentinels } from './support/cluster.js';
import { Load } from './support/load.js';
import { areReady, readiness, startNodes } from './support/nodes.js';

const paths = ['/room/1', '/room/2'];

test('when the master of the Sentinels is killed, the nodes follow to the next', needsRedis, async (t) => {
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
	await load.judge();
});

test('when the Sentinels are asked for a failover, the nodes follow to the next master', needsRedis, async (t) => {
	const { set, nodes, load } = await startLoad(t);
	const master = await set.master();
	const startMs = performance.now();
	await set.sentinel.run('SENTINEL', 'FAILOVER', 'rooms');
	await load.ends(paths, startMs);
	await becomes(async () => (await set.master()) !== master);
	await areReady(nodes);
	await load.flows();
	await load.judge();
});

test('a master that was stopped while the Sentinels chose another never decides again', needsRedis, async (t) => {
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
	await load.judge();
});

test('a Sentinel that does not answer keeps nobody from asking the next', needsRedis, async (t) => {
	const set = await startSentinels(t);
	const sockets: Socket[] = [];
	const silent = createServer((socket) => sockets.push(socket.on('error', () => {})));
	t.after(() => {
		silent.close();
		for (const socket of sockets) socket.destroy();
	});
	await once(silent.listen(0, '127.0.0.1'), 'listening');
	const { port } = silent.address() as AddressInfo;
	const url = set.url.replace('redis+sentinel://', `redis+sentinel://127.0.0.1:${port},`);
	// A wait for the silent one alone would take the whole time each time.
	const nodes = await startNodes(t, url, '--relay-timeout', '6s');
	await areReady(nodes);
	assert.ok(sockets.length > 0);
});

async function startLoad(t: TestContext) {
	const set = await startSentinels(t);
	const nodes = await startNodes(t, set.url, '--relay-timeout', '1s');
	const load = new Load(t, nodes, paths);
	await load.flows();
	return { set, nodes, load };
}
