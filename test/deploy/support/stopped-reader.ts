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
	// What was sent and not acknowledged yet is under way, and does not count: an ACK may come 40 ms late.
	let sockets: string;
	do sockets = (await promisify(execFile)('ss', ['--tcp', '--numeric', '--no-header', '--info'])).stdout;
	while (sockets.includes('unacked:'));
	// The lines between are those of --info.
	const heldBytes = [...sockets.matchAll(/^\S+ +[0-9]+ +([0-9]+) /gm)].map(([, sendQueue]) => Number(sendQueue));
	t.diagnostic(`held: ${Math.max(...heldBytes)}`);
});
