// The systemd unit: verified and scored by systemd itself, and its very command lines run, for lack of a systemd to run them.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { connectionLimit } from '#src/listening/descriptors.js';
import { readOptions } from '#src/options/reading.js';
import { optionTable, variableOf } from '#src/options/table.js';
import { Command } from '../support/command.js';
import { freePortPair } from '../support/free-port.js';
import { request } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { commandLine, environmentOf, readEnvironmentFile, readUnit, secondsOf, setting } from '../support/unit-file.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../', import.meta.url));
const unitPath = `${root}deploy/systemd/pathcast@.service`;
const sharedFile = `${root}deploy/systemd/pathcast.env`;
const unit = readUnit(unitPath);
const systemd = needs('systemd-analyze', '/usr/bin/systemd-analyze');

/** The unit in a folder of its own, with this machine's Node and this checkout. */
function installed(t: TestContext, instance: string): string {
	const text = readFileSync(unitPath, 'utf8');
	assert.ok(text.includes('ExecStart=/usr/bin/node /opt/pathcast/dist/cli.js '));
	const path = `${temporaryFolder(t)}/pathcast@${instance}.service`;
	writeFileSync(path, text.replaceAll('/usr/bin/node', process.execPath).replaceAll('/opt/pathcast/', root));
	return path;
}

test('systemd-analyze verify has nothing to say about the unit', systemd, async (t) => {
	const { stdout, stderr } = await run('systemd-analyze', ['verify', '--man=no', installed(t, '8081')]);
	assert.deepEqual([stdout, stderr], ['', '']);
});

test("the unit's exposure is what deploy/README.md says, by systemd-analyze security", systemd, async (t) => {
	const [, stated = ''] = /exposure level of ([0-9.]+)/.exec(readFileSync(`${root}deploy/README.md`, 'utf8')) ?? [];
	// It fails when the exposure is above the threshold, which is ten times the figure.
	const threshold = Math.round(Number(stated) * 10);
	const analyze = (limit: number) =>
		run('systemd-analyze', ['security', '--offline=true', '--no-pager', `--threshold=${limit}`, installed(t, '8081')]);
	const { stdout } = await analyze(threshold);
	const [, found] = /Overall exposure level for pathcast@8081.service: ([0-9.]+) OK/.exec(stdout) ?? [];
	// Other versions of systemd look at more, or weigh it otherwise.
	const { stdout: version } = await run('systemd-analyze', ['--version']);
	if (version.startsWith('systemd 252 ')) assert.equal(found, stated);
});

test("the unit's commands start an instance on its port and its operator's listener on 1 and the port, open its log again, and stop it with 0", async (t) => {
	const [port, operatorPort] = await freePortPair();
	const log = `${temporaryFolder(t)}/pathcast.log`;
	const variables = { ...environmentOf(unit), ...readEnvironmentFile(sharedFile), PATHCAST_LOG: log };
	const [program, script, ...args] = commandLine(setting(unit, 'ExecStart'), String(port), variables);
	assert.deepEqual([program, script], ['/usr/bin/node', '/opt/pathcast/dist/cli.js']);
	const child = spawn(process.execPath, [`${root}dist/cli.js`, ...args], {
		env: variables,
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	const command = new Command(child);
	t.after(() => child.kill('SIGKILL'));
	await command.wroteTo(log, /listens on/);

	const start = JSON.parse(readFileSync(log, 'utf8').split('\n', 1)[0] ?? '');
	assert.deepEqual([start.addr, start.mport], [`127.0.0.1:${port}`, `127.0.0.1:1${port}`]);
	assert.equal(operatorPort, Number(`1${port}`));
	assert.equal((await request(operatorPort, { path: '/readyz' })).status, 200);
	const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room`);

	const [kill = '', ...killArgs] = commandLine(setting(unit, 'ExecReload'), String(port), { MAINPID: String(child.pid) });
	assert.ok(existsSync(kill));
	assert.deepEqual(await once(spawn(kill, killArgs), 'exit'), [0, null]);
	await command.wroteTo(log, /opened again/);

	child.kill('SIGTERM');
	assert.equal((await subscriber.closed).code, 1012);
	const { code, stderr } = await command.ended;
	assert.deepEqual([code, stderr], [0, '']);
});

test('the unit waits for longer than the delay, the drain and what peers leave open, by default and with the sample file', () => {
	// Five seconds for requests, one for paced messages, five for readers who lag: server.ts, stop().
	const patienceSeconds = 11;
	for (const variables of [{}, readEnvironmentFile(sharedFile), readEnvironmentFile(sharedFile, true)]) {
		const options = readOptions([], forPathcast(variables), 'test');
		assert.ok(!('text' in options));
		assert.ok(secondsOf(setting(unit, 'TimeoutStopSec')) > options.drainDelay + options.drain + patienceSeconds + 10);
	}
});

test('every PATHCAST_ variable of the sample file is an option with a value that it takes, also those that are commented out', () => {
	const variables = forPathcast({ ...readEnvironmentFile(sharedFile), ...readEnvironmentFile(sharedFile, true) });
	const known = Object.keys(optionTable).map((name) => variableOf(name as keyof typeof optionTable));
	assert.ok(Object.keys(variables).length >= 7);
	for (const name of Object.keys(variables)) assert.ok(known.includes(name), name);
	assert.ok(!('text' in readOptions([], variables, 'test')));
});

test("the unit's limit of open files is room for 100,000 websockets", () => {
	const warned: object[] = [];
	const log = pino({ level: 'warn' }, { write: (line) => warned.push(JSON.parse(line)) });
	assert.equal(connectionLimit(0, Number(setting(unit, 'LimitNOFILE')), 0, log), 100_000);
	assert.deepEqual(warned, []);
});

test('the unit restarts after failures alone, runs as a user of its own, and takes a file of variables for all and one for each', () => {
	assert.equal(setting(unit, 'Restart'), 'on-failure');
	assert.deepEqual([setting(unit, 'User'), setting(unit, 'NoNewPrivileges')], ['pathcast', 'yes']);
	assert.deepEqual([setting(unit, 'ProtectSystem'), setting(unit, 'CapabilityBoundingSet')], ['strict', '']);
	assert.deepEqual(unit.get('EnvironmentFile'), ['-/etc/pathcast/pathcast.env', '-/etc/pathcast/%i.env']);
});

function forPathcast(variables: Record<string, string>): Record<string, string> {
	return Object.fromEntries(Object.entries(variables).filter(([name]) => name.startsWith('PATHCAST_')));
}
