// A relay that Sentinels name. Its faults are in test/torture/faults/relay-sentinel.torture.ts.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { needsRedis } from '../support/redis.js';
import { startSentinels } from './support/cluster.js';
import { areReady, startNodes } from './support/nodes.js';

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
