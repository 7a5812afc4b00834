// The log cannot be written, at the level debug, at which each message is a line.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { anyPort, type Command, cliPath, refuses, runCommand, runOnFullDisk, runProgram } from '../../support/command.js';
import { freePort } from '../../support/free-port.js';
import { post } from '../../support/http.js';
import { metricOf } from '../../support/server.js';
import { subscribe } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm } from '../support/torture.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';
import { needsOwnMounts, ownMounts } from './support/own-mounts.js';

const goesOn = (code: string) => `pathcast: the log cannot be written (${code}); the server goes on\n`;
const promised = 'Messages go on. The server reports the failure on standard error, once a minute at the most.';

/** A server at debug, which is started as `run` says. It may have no log to tell its ports. */
async function startSilent(run: (flags: string[]) => Command) {
	const [port, operatorPort] = [await freePort(), await freePort()];
	const command = run(['--addr', `127.0.0.1:${port}`, '--mport', String(operatorPort), '--log-level', 'debug', '--drain', '0s']);
	await becomes(async () => (await metricOf(operatorPort, 'pathcast_ready')) === 1);
	return { command, port, operatorPort };
}

/** Sends so many messages at once, each of which is a line of some 150 bytes, and waits for them. */
async function burst(t: TestContext, port: number, messages: number): Promise<void> {
	const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/burst`);
	for (let sent = 0; sent < messages; sent += 1_000) {
		const texts = Array.from({ length: 1_000 }, (_, i) => String(sent + i));
		for (const text of texts) subscriber.send(text);
		assert.deepEqual(await subscriber.texts(1_000), texts);
	}
	await subscriber.close();
}

async function endsWell({ child, ended }: Command, stderr: string): Promise<void> {
	child.kill('SIGTERM');
	const result = await ended;
	assert.deepEqual([result.code, result.stderr], [0, stderr]);
}

// More than the mebibyte of lines that waits for the disk or the reader.
const messages = inForm(10_000, 100_000);

for (const format of ['json', 'text']) {
	fault(`a full disk under the file of the log, as ${format}`, promised, async (t) => {
		const { command, port } = await startSilent((flags) =>
			runCommand(t, [...flags, '--log', '/dev/full', '--log-format', format]),
		);
		const bystanders = await startBystanders(t, { port });
		await burst(t, port, messages);
		const innocent = await bystanders.stop();
		await endsWell(command, goesOn('ENOSPC'));
		return `${messages} messages arrived, ${innocent}; one line on standard error`;
	});
}

fault('a full disk under standard output and standard error', 'Messages go on. There is no place for a report.', async (t) => {
	const { command, port } = await startSilent((flags) => runOnFullDisk(t, flags));
	const bystanders = await startBystanders(t, { port });
	await burst(t, port, messages);
	const innocent = await bystanders.stop();
	await endsWell(command, '');
	return `${messages} messages arrived, ${innocent}`;
});

fault(
	'a disk under the log that is full, and has room again',
	`${promised} The log goes on when there is room.`,
	async (t) => {
		const folder = temporaryFolder(t);
		const file = `${folder}/pathcast.log`;
		const line = `mount -t tmpfs -o size=256k none ${folder} && exec "$0" "$@" --log ${file}`;
		const { command, port } = await startSilent((flags) =>
			runProgram(t, 'unshare', [...ownMounts, line, process.execPath, cliPath, ...flags]),
		);
		const bystanders = await startBystanders(t, { port });
		// The disk is seen by the server alone, and by us through it.
		const seen = `/proc/${command.child.pid}/root${file}`;
		const fullTimes = inForm(2, 5);
		for (let i = 0; i < fullTimes; i++) {
			await burst(t, port, messages);
			assert.equal(readFileSync(seen).length, 262_144);
			// The lines that wait fill it several times.
			await becomes(() => {
				const text = readFileSync(seen, 'utf8');
				truncateSync(seen);
				return !text.includes('"path":"/burst"') && text.includes('"path":"/bystander');
			});
		}
		const innocent = await bystanders.stop();
		await endsWell(command, goesOn('ENOSPC'));
		return `${fullTimes} times full; ${fullTimes * messages} messages arrived, ${innocent}; the log went on each time`;
	},
	needsOwnMounts(),
);

fault('a reader of the log that reads nothing', `${promised} Up to 1 MiB of lines wait.`, async (t) => {
	const { command, port } = await startSilent((flags) => runCommand(t, flags));
	const bystanders = await startBystanders(t, { port });
	command.child.stdout?.pause();
	await burst(t, port, messages);
	await command.until(() => command.stderr || undefined);
	command.child.stdout?.resume();
	while (!command.stdout.includes('"path":"/late"')) await post(port, '/late', 'x');
	const innocent = await bystanders.stop();
	await endsWell(command, goesOn('EAGAIN'));
	// The server leaves out whole lines only.
	const lines = command.stdout.split('\n').slice(0, -1);
	const published = lines.map((line) => JSON.parse(line)).filter(({ event, path }) => event === 'publish' && path === '/burst');
	assert.ok(published.length < messages, `${published.length} lines`);
	assert.ok(lines.some((line) => line.includes('"event":"stop"')));
	return `${messages} messages arrived, ${innocent}; ${lines.length} whole lines were read in the end`;
});

fault('a reader of the log that goes away', promised, async (t) => {
	const { command, port } = await startSilent((flags) => runCommand(t, flags));
	const bystanders = await startBystanders(t, { port });
	command.child.stdout?.destroy();
	await burst(t, port, messages);
	const innocent = await bystanders.stop();
	await endsWell(command, goesOn('EPIPE'));
	return `${messages} messages arrived, ${innocent}; one line on standard error`;
});

fault(
	'`--log` in a folder that is missing, read-only, or no folder; a loop of links; a name that is too long; a folder itself',
	'One line that names the file and the remedy, and exit code 1.',
	async (t) => {
		const folder = temporaryFolder(t);
		writeFileSync(`${folder}/file`, '');
		mkdirSync(`${folder}/folder`);
		symlinkSync(`${folder}/loop`, `${folder}/loop`);
		const files: Record<string, string> = {
			[`${folder}/missing/x.log`]: 'ENOENT',
			'/sys/pathcast.log': 'EACCES|EROFS|EPERM',
			[`${folder}/file/x.log`]: 'ENOTDIR',
			[`${folder}/loop`]: 'ELOOP',
			[`${folder}/${'x'.repeat(300)}`]: 'ENAMETOOLONG',
			[`${folder}/folder`]: 'EISDIR',
		};
		await Promise.all(
			Object.entries(files).map(([file, code]) =>
				refuses(
					t,
					[...anyPort, '--log', file],
					new RegExp(
						`^pathcast: --log: ${file} cannot be written \\((${code})\\); (create its directory|check its path and permissions), or`,
					),
				),
			),
		);
		return `${Object.keys(files).length} starts refused in one line, with 1`;
	},
);
