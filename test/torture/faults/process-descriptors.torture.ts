// File descriptors run out, by connections that the server counts and by those that it does not know of yet.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { becomes } from '../../relay/support/becomes.js';
import { anyPort, type Command, runWithin } from '../../support/command.js';
import { freePort } from '../../support/free-port.js';
import { handshakeHeaders, request } from '../../support/http.js';
import { subscribe, subscribeMany } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm } from '../support/torture.js';
import { builtServer, onLinux } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

// A loop that spins takes all of a core.
const idleLoadMax = 0.3;

/** The CPU time of a process so far, in seconds (proc(5): utime and stime, a hundredth each). */
function cpuSeconds(pid: number): number {
	const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
		.replace(/^.*\) /s, '')
		.split(' ');
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Asserts that a process without work is idle for a second, and gives the share of a core that it took. */
async function assertIdle(command: Command): Promise<string> {
	const pid = command.child.pid as number;
	const before = cpuSeconds(pid);
	await setTimeout(1_000);
	const load = cpuSeconds(pid) - before;
	assert.ok(load < idleLoadMax, `${load} of a core`);
	return `${Math.round(load * 100)} %`;
}

fault(
	'more websockets than `ulimit -n 256` allows, again and again',
	'Upgrades beyond the limit get 503 with Retry-After, the present subscribers are served, and places come free.',
	async (t) => {
		const server = await builtServer(runWithin(t, 256, [...anyPort, '--drain', '0s']));
		const bystanders = await startBystanders(t, server);
		const before = server.openFiles();
		const taken = await server.metric('pathcast_connections');
		const places = Number((await server.command.logged('start')).connectionsMax) - taken;
		const rounds = inForm(2, 10);
		const refusals = inForm(300, 1_000);
		for (let round = 0; round < rounds; round++) {
			const crowd = await subscribeMany(t, places, () => server.ws('/crowd'));
			for (let i = 0; i < refusals; i++) {
				const { status, headers } = await request(server.port, { path: '/crowd', headers: handshakeHeaders });
				assert.deepEqual([status, headers.get('retry-after')], [503, '5']);
			}
			crowd[0]?.send(`round ${round}`);
			for (const subscriber of crowd) assert.equal(await subscriber.nextText(), `round ${round}`);
			await Promise.all(crowd.map((subscriber) => subscriber.close()));
			await becomes(async () => (await server.metric('pathcast_connections')) === taken);
		}
		assert.equal(await server.metric('pathcast_refusals_total{reason="connections"}'), rounds * refusals);
		await server.descriptorsComeBackTo(before);
		server.assertNoErrors();
		const innocent = await bystanders.stop();
		return `${rounds} times ${places} were in and ${refusals} got 503; ${innocent}; ${before} descriptors again`;
	},
	onLinux,
);

for (const kind of ['a port', 'a UNIX socket'] as const) {
	fault(
		`a flood of 400 idle connections to ${kind} with \`ulimit -n 256\``,
		'The server stops accepting until descriptors are free, logs it, and serves the present connections without spinning.',
		async (t) => {
			const socketPath = `${temporaryFolder(t)}/pathcast.sock`;
			const port = await freePort();
			const [addr, target] = kind === 'a port' ? [`127.0.0.1:${port}`, { port }] : [socketPath, { socketPath }];
			// With a budget, because Node needs a descriptor to tell what it holds.
			const flags = ['--addr', addr, '--mport', 'off', '--drain', '0s', '--memory-budget', '4096MiB'];
			const command = runWithin(t, 256, flags);
			await command.logged('start');
			const first = await startBystanders(t, target);

			const open = () => ('port' in target ? connect(target.port, '127.0.0.1') : connect(target.socketPath));
			const flood: Socket[] = Array.from({ length: 400 }, open);
			t.after(() => {
				for (const socket of flood) socket.destroy();
			});
			// Refused, or reset while it waited to be accepted.
			for (const socket of flood) socket.on('error', () => {});
			await command.until(() => /no file descriptor is left/.exec(command.stdout) ?? undefined);
			await first.goOn(100);
			const innocent = await first.stop();
			const load = await assertIdle(command);

			for (const socket of flood) socket.destroy();
			await command.until(() => /connections are accepted again/.exec(command.stdout) ?? undefined);
			await (await startBystanders(t, target)).stop();
			const last = await subscribe(t, 'port' in target ? `ws://127.0.0.1:${port}/last` : `ws+unix:${socketPath}:/last`);
			command.child.kill('SIGTERM');
			assert.equal((await last.closed).code, 1012);
			const { code, stderr } = await command.ended;
			assert.deepEqual([code, stderr, existsSync(socketPath)], [0, '', false]);
			return `${innocent} meanwhile; ${load} of a core when idle; new connections were accepted when the flood had gone`;
		},
		onLinux,
	);
}
