// The server is stopped (SIGSTOP) for longer than its time-outs, and goes on.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { becomes } from '../../relay/support/becomes.js';
import { openStream } from '../../support/event-stream.js';
import { numbered } from '../../support/gapless.js';
import { startReceiver } from '../../support/receiver.js';
import { subscribe, subscribeMany } from '../../support/subscriber.js';
import { inForm } from '../support/torture.js';
import { startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

const stoppedMs = inForm(10_000, 40_000);

fault(
	`SIGSTOP for ${stoppedMs / 1_000} s under load, with \`--ping-timeout 8s\` and \`--write-timeout 2s\`, then SIGCONT`,
	'The time in which the server itself did not run counts against nobody: no client is closed, and none misses a message.',
	async (t) => {
		const receiver = await startReceiver(t);
		const flags = ['--ping-timeout', '8s', '--write-timeout', '2s', '--max-age', '1h', '--webhook', receiver.url];
		const server = await startBuilt(t, flags);
		const bystanders = await startBystanders(t, server);
		const idle = await subscribeMany(t, 50, () => server.ws('/idle'));
		const streams = await Promise.all(Array.from({ length: 10 }, () => openStream(t, server, '/idle')));
		// A subscriber that has just begun to lag, and reads on while the server is stopped.
		const slow = await subscribe(t, server.ws('/slow'), { skipUTF8Validation: true });
		const publisher = await subscribe(t, server.ws('/slow'));
		slow.ws.pause();
		let sent = 0;
		while ((await server.metric('pathcast_lagging_subscribers')) === 0) {
			publisher.send(numbered(sent++, 60_000));
			await publisher.nextText();
		}
		const connections = await server.metric('pathcast_connections');
		server.command.child.kill('SIGSTOP');
		slow.ws.resume();
		await setTimeout(stoppedMs);
		server.command.child.kill('SIGCONT');
		await bystanders.goOn(100);
		for (const [i, text] of (await slow.texts(sent)).entries()) assert.equal(text.split(' ')[0], String(i));
		idle[0]?.send('after');
		for (const client of [...idle, ...streams]) assert.deepEqual(await client.texts(1), ['after']);
		assert.equal(await server.metric('pathcast_connections'), connections);
		const innocent = await bystanders.stop();
		await becomes(async () => (await server.metric('pathcast_callbacks_queued')) === 0);
		server.assertNoErrors();
		await server.stop();
		return `${connections} of ${connections} connections were open after it; ${innocent}; a slow reader got ${sent} of ${sent} messages`;
	},
);
