// Signals while the server starts, and signals that do not begin a stop.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { runCommand } from '../../support/command.js';
import { seededRandom } from '../../support/random.js';
import { subscribe } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm } from '../support/torture.js';
import { onLinux, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

fault(
	'SIGTERM, SIGINT, SIGHUP and SIGPIPE at random moments of the start',
	'The process ends or serves. Whatever it leaves at the path of its UNIX socket, the next start takes the path.',
	async (t) => {
		const random = seededRandom(t);
		const socket = `${temporaryFolder(t)}/pathcast.sock`;
		const flags = ['--addr', socket, '--mport', 'off'];
		const starts = inForm(8, 100);
		const outcomes = { 'by the signal': 0, 'with 0': 0, served: 0 };
		for (let i = 0; i < starts; i++) {
			const signal = (['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE'] as const)[i % 4] ?? 'SIGTERM';
			const command = runCommand(t, flags);
			await setTimeout(random.below(400));
			command.child.kill(signal);
			const ended = command.ended.then((result) => result);
			const result = await Promise.race([
				ended,
				command.logged('start').then(
					() => undefined,
					() => ended,
				),
			]);
			if (result === undefined || signal === 'SIGPIPE') assert.equal(command.stderr, '');
			// After the start line, SIGHUP and SIGPIPE end nothing.
			if (result === undefined && (signal === 'SIGHUP' || signal === 'SIGPIPE')) {
				await (await startBystanders(t, { socketPath: socket })).stop();
				command.child.kill('SIGKILL');
				outcomes.served++;
				await ended;
				continue;
			}
			// Node ignores SIGPIPE, but not before it has begun to run.
			const { code, signal: killedBy, stderr } = await ended;
			assert.equal(stderr, '');
			assert.ok(code === 0 || killedBy === signal, `${signal}: ${code} ${killedBy}`);
			outcomes[code === 0 ? 'with 0' : 'by the signal']++;
		}
		const last = runCommand(t, flags);
		await last.logged('start');
		await (await startBystanders(t, { socketPath: socket })).stop();
		return `${starts} starts: ${outcomes['by the signal']} ended by the signal, ${outcomes['with 0']} stopped with 0, ${outcomes.served} served; the next start served`;
	},
);

fault('SIGHUP, SIGPIPE, SIGCHLD, SIGCONT, SIGURG and SIGWINCH in a burst, again and again', 'They end nothing.', async (t) => {
	const server = await startBuilt(t);
	const bystanders = await startBystanders(t, server);
	const signals = ['SIGHUP', 'SIGPIPE', 'SIGCHLD', 'SIGCONT', 'SIGURG', 'SIGWINCH'] as const;
	const rounds = inForm(50, 500);
	for (let i = 0; i < rounds; i++) {
		for (const signal of signals) server.command.child.kill(signal);
		await bystanders.goOn(1);
	}
	const innocent = await bystanders.stop();
	server.assertNoErrors();
	assert.ok(server.log().some(({ event }) => event === 'reopen'));
	await server.stop();
	return `${rounds * signals.length} signals; ${innocent}`;
});

fault(
	'SIGQUIT, SIGUSR2, SIGALRM and SIGABRT, which the documentation does not name',
	'They end the process at once, as the system does; the next start takes the same UNIX socket.',
	async (t) => {
		const socket = `${temporaryFolder(t)}/pathcast.sock`;
		const signals = ['SIGQUIT', 'SIGUSR2', 'SIGALRM', 'SIGABRT'] as const;
		for (const signal of signals) {
			const command = runCommand(t, ['--addr', socket, '--mport', 'off']);
			await command.logged('start');
			const bystanders = await subscribe(t, `ws+unix:${socket}:/room`);
			command.child.kill(signal);
			assert.equal((await command.ended).signal, signal);
			assert.equal((await bystanders.closed).code, 1006);
			assert.ok(existsSync(socket));
		}
		const last = runCommand(t, ['--addr', socket, '--mport', 'off']);
		await last.logged('start');
		return `${signals.length} of ${signals.length} ended the process, and left a socket that the next start took`;
	},
	onLinux,
);
