// New attempts to reach the relay: how often, what the log has of them, and what becomes of one when the server stops.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { anyPort, runCommand } from '../support/command.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { startTestServer } from '../support/server.js';
import { startFakeRedis } from './support/fake-redis.js';
import { notRedis } from './support/old-redis.js';

test('a relay that takes each connection and soon breaks it is tried less and less often', async (t) => {
	const relay = await startFakeRedis(t);
	// The last question before it serves.
	const last = 'CLUSTER SLOTS';
	relay.after.set('CLUSTER', notRedis);
	const server = await startTestServer(t, '--relay', `redis://127.0.0.1:${relay.port}`);
	const startMs = performance.now();
	for (let times = 2; times <= 6; times++) {
		relay.after.set('CLUSTER', notRedis);
		await relay.got(last, times);
	}
	// The pauses are 0.05 s and more, then twice as long each time.
	assert.ok(performance.now() - startMs > 1_000);
	const lines = server.log.filter(({ event }) => event === 'relay');
	assert.ok(lines.length <= 2 * 6 + 1, `${lines.length} lines`);
});

test('a server that stops does not wait for a connection to the relay that is being made', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const command = runCommand(t, [...anyPort, '--relay', redis.url, '--relay-timeout', '60s']);
	await command.port();
	await redis.kill();
	const sockets: Socket[] = [];
	const silent = createServer((socket) => sockets.push(socket.on('error', () => {})));
	t.after(() => {
		silent.close();
		for (const socket of sockets) socket.destroy();
	});
	silent.listen(redis.port, '127.0.0.1');
	await once(silent, 'connection');
	const startMs = performance.now();
	command.child.kill('SIGTERM');
	assert.equal((await command.ended).code, 0);
	// A second for the peers to close; without this, it was the 60 s.
	assert.ok(performance.now() - startMs < 30_000);
	assert.doesNotMatch(command.stdout, /the server stops/);
});
