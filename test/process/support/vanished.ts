// Run in a network of its own by vanished.test.ts: a client of an event stream whose address goes away without a word.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { test } from 'node:test';
import { openStream, streamRequest } from '../../support/event-stream.js';
import { metric, startTestServer } from '../../support/server.js';

test('a vanished stream is freed', async (t) => {
	const server = await startTestServer(t, '--addr', '0.0.0.0:0', '--ping-timeout', '8s');
	execFileSync('ip', ['address', 'add', '10.9.9.9/32', 'dev', 'lo']);
	await openStream(t, server, '/room');
	const socket = connect({ port: server.port, host: '10.9.9.9', localAddress: '10.9.9.9' });
	t.after(() => socket.destroy());
	socket.write(streamRequest);
	let text = '';
	while (!text.includes(': subscribed')) {
		text += await new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
	}
	assert.equal(await metric(server, 'pathcast_subscribers'), 2);
	const startMs = performance.now();
	execFileSync('ip', ['address', 'delete', '10.9.9.9/32', 'dev', 'lo']);
	while ((await metric(server, 'pathcast_subscribers')) > 1) assert.ok(performance.now() - startMs < 60_000, 'not freed');
	t.diagnostic(`freed after ${Math.round(performance.now() - startMs)} ms`);
});
