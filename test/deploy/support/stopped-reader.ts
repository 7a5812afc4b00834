// Run by sysctl.test.ts in a network of its own: prints how many bytes the server's system holds for a client that does not read.
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { sendToAll } from '../../support/gapless.js';
import { startTestServer } from '../../support/server.js';
import { subscribe } from '../../support/subscriber.js';

test('a stopped reader', async (t) => {
	const server = await startTestServer(t, '--max-backlog', '64MiB', '--log-level', 'info');
	const reader = await subscribe(t, server.ws('/room'));
	const stopped = await subscribe(t, server.ws('/room'));
	stopped.ws.pause();
	// More than any system holds by default.
	for (let i = 0; i < 250; i++) await sendToAll([reader], i);
	const { stdout } = await promisify(execFile)('ss', ['--tcp', '--numeric', '--no-header']);
	const heldBytes = stdout
		.trim()
		.split('\n')
		.map((line) => Number(line.split(/\s+/)[2]));
	t.diagnostic(`held: ${Math.max(...heldBytes)}`);
});
