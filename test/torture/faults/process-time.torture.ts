// Time jumps, and time passes in which the server does not run. libfaketime shows the server another time, in all that it asks of the
// system except the monotonic clock, which no administrator can set.

import assert from 'node:assert/strict';
import { constants, renameSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { becomes } from '../../relay/support/becomes.js';
import { anyPort, refuses, runCommand } from '../../support/command.js';
import { answerTo, askedDoors } from '../../support/doors.js';
import { openStream } from '../../support/event-stream.js';
import { numbered } from '../../support/gapless.js';
import { handshakeHeaders, request } from '../../support/http.js';
import { startNamingService } from '../../support/naming-service.js';
import { startReceiver } from '../../support/receiver.js';
import { needs } from '../../support/requirement.js';
import { answering, hold, startService } from '../../support/service.js';
import { subscribe, subscribeMany } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { tlsFlags } from '../../support/tls.js';
import { inForm } from '../support/torture.js';
import { type BuiltServer, builtServer, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault, faultsAtOnce } from './support/fault.js';

// Debian's package libfaketime has it here.
const library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
const needsFaketime = needs('libfaketime', library, constants.R_OK).skip;
const dayMs = 86_400_000;

/** A server whose clock the test sets. */
async function startWithClock(t: TestContext, flags: readonly string[]) {
	const file = `${temporaryFolder(t)}/clock`;
	const setClock = (days: number) => {
		// The server may read it at any moment.
		writeFileSync(`${file}.new`, `${days < 0 ? '' : '+'}${days}d\n`);
		renameSync(`${file}.new`, file);
	};
	setClock(0);
	const fake = { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1', DONT_FAKE_MONOTONIC: '1' };
	const server = await builtServer(runCommand(t, [...anyPort, ...flags], [], { ...process.env, ...fake }));
	return { server, setClock };
}

/** How many days the clock of the server is ahead, as the newest line of its log says. */
async function loggedDays(server: BuiltServer): Promise<number> {
	const lines = server.log().length;
	// Such a refusal is one of the lines that appear once a second at the most.
	const refused = { path: '/room', headers: { ...handshakeHeaders, Origin: 'https://evil.example' } };
	while (server.log().length === lines) assert.equal((await request(server.port, refused)).status, 403);
	const { time } = server.log().at(-1) ?? {};
	return Math.round((Date.parse(String(time)) - Date.now()) / dayMs);
}

const stoppedMs = inForm(9_000, 40_000);
const jumps = [1, -1, 365, -365, 0];

faultsAtOnce('clocks that jump, and a process that stops', () => {
	fault(
		'a clock that jumps by a day and by a year, forwards and back, while sessions, time limits and webhooks run',
		'All time limits go by the monotonic clock: nothing is closed early or late, and the log goes on with the new time.',
		async (t) => {
			const service = await startNamingService(t, 'X-Session', { 'X-Max-Age': '3600' });
			const receiver = await startReceiver(t);
			const hooks = ['--auth', service.url, '--webhook', receiver.url, '--close-callback', receiver.url];
			const limits = ['--max-age', '1h', '--ping-timeout', '8s', '--write-timeout', '1s', '--drain', '1s', '--max-rate', '1000'];
			const origins = ['--origin', 'https://good.example'];
			const { server, setClock } = await startWithClock(t, [...hooks, ...limits, ...origins]);
			const bystanders = await startBystanders(t, server);
			const alice = await subscribe(t, server.ws('/room?alice'));
			const connections = await server.metric('pathcast_connections');
			for (const days of jumps) {
				setClock(days);
				assert.ok((await loggedDays(server)) === days);
				await bystanders.goOn(50);
				const visitor = await subscribe(t, server.ws('/visit'));
				await visitor.close();
				const duration = (await receiver.nextUntil('disconnect')).at(-1)?.duration;
				assert.ok(Number(duration) >= 0 && Number(duration) < 600, `${duration} s`);
				const sent = await request(server.operatorPort, {
					method: 'POST',
					path: '/send',
					headers: { 'X-Session': 'alice' },
					body: String(days),
				});
				assert.equal(sent.status, 200);
				assert.equal(await alice.nextText(), String(days));
				assert.equal((await request(server.operatorPort, { path: '/readyz' })).status, 200);
			}
			assert.equal(await server.metric('pathcast_connections'), connections);
			// The time that a service gives is kept as well after a jump back as before.
			setClock(-365);
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			server.command.child.kill('SIGTERM');
			assert.deepEqual(await alice.closed, { code: 1012, reason: 'the server is restarting; connect again' });
			assert.deepEqual([(await server.command.ended).code, server.command.stderr], [0, '']);
			return `${jumps.length + 1} jumps; ${connections} of ${connections} connections stayed open; ${innocent}; exit code 0`;
		},
		needsFaketime,
	);

	fault(
		'a clock that is set back by a year while authorisations of one second (`X-Max-Age: 1`) run',
		'They expire in time.',
		async (t) => {
			const service = await startNamingService(t, 'X-Session', { 'X-Max-Age': '1' });
			const { server, setClock } = await startWithClock(t, ['--auth', service.url]);
			const subscribers = await Promise.all(Array.from({ length: 20 }, () => subscribe(t, server.ws('/room'))));
			setClock(-365);
			const startMs = performance.now();
			for (const { closed } of subscribers) assert.deepEqual(await closed, { code: 1008, reason: 'authorisation expired' });
			const seconds = Math.ceil((performance.now() - startMs) / 1_000);
			return `${subscribers.length} of ${subscribers.length} were closed with 1008, within ${seconds} s`;
		},
		needsFaketime,
	);

	fault(
		'a clock that is set back by a year while time-outs of services and a stop run',
		'`--auth-timeout`, the retries of webhooks and `--drain` run out all the same, and the process ends with 0.',
		async (t) => {
			const service = await startService(t, answering(204, [['X-Max-Age', '2']]));
			const receiver = await startReceiver(t);
			receiver.answers.push(500);
			const flags = ['--auth', service.url, '--auth-timeout', '2s', '--webhook', receiver.url, '--drain', '1s'];
			const { server, setClock } = await startWithClock(t, flags);
			const subscriber = await subscribe(t, server.ws('/room'));
			service.script = hold;
			const held = Promise.all(askedDoors.map((door) => answerTo(server.port, door)));
			await service.take(4);
			service.script = answering(204);
			setClock(-365);
			assert.deepEqual(
				(await held).map(({ status }) => status),
				[502, 502, 502],
			);
			assert.deepEqual(await subscriber.closed, { code: 1008, reason: 'authorisation expired' });
			const events = await receiver.nextUntil('disconnect');
			const duration = events.at(-1)?.duration;
			assert.ok(Number(duration) >= 1.9 && Number(duration) < 60, `${duration} s`);
			const last = await subscribe(t, server.ws('/last'));
			setClock(-1);
			await server.stop();
			assert.equal((await last.closed).code, 1012);
			server.assertNoErrors();
			return `3 questions got 502, a subscription of 2 s was closed after ${duration} s, ${receiver.requests.length} webhooks came, the stop ended with 0`;
		},
		needsFaketime,
	);

	fault(
		'a certificate that expires while the server runs',
		'The server goes on, because clients judge certificates; its next start is refused.',
		async (t) => {
			const { server, setClock } = await startWithClock(t, tlsFlags);
			const room = `wss://127.0.0.1:${server.port}/room`;
			const present = await subscribe(t, room, { rejectUnauthorized: false });
			setClock(200 * 365);
			const later = await subscribe(t, room, { rejectUnauthorized: false });
			later.send('after');
			for (const subscriber of [present, later]) assert.equal(await subscriber.nextText(), 'after');
			server.assertNoErrors();
			const env = { ...process.env, LD_PRELOAD: library, FAKETIME: `+${200 * 365}d`, DONT_FAKE_MONOTONIC: '1' };
			await refuses(t, [...anyPort, ...tlsFlags], /^pathcast: --tls-cert: .* expired on .*; renew it\.\n$/, [], env);
			return 'present and new clients were served; a start with that clock was refused with one line';
		},
		needsFaketime,
	);

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
});
