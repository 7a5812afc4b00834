import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { test } from 'node:test';
import { anyPort, type Command, cliPath, refuses, runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { post, request } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

type Entry = Record<string, unknown>;

function entries(text: string): Entry[] {
	return text
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => JSON.parse(line));
}

/** Ends the command and gives all it has logged on standard output. */
async function stopped(command: Command): Promise<Entry[]> {
	command.child.kill('SIGTERM');
	return entries((await command.ended).stdout);
}

test("at debug the log tells a connection's life and each publish, with the same field names everywhere", async (t) => {
	const command = runCommand(t, [...anyPort, '--log-level', 'debug']);
	const port = await command.port();
	const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room?token=secret`, { origin: 'https://a.example' });
	subscriber.send('hello');
	await subscriber.next();
	await post(port, '/room?token=secret', 'by POST', { Origin: 'https://b.example' });
	await subscriber.next();
	await request(port, { path: '/%?token=secret' });
	subscriber.ws.close(4001, 'bye');
	await subscriber.closed;
	const log = await stopped(command);
	const told = log.map(({ time, msg, version, engine, addr, mport, page, connectionsMax, signal, ...rest }) => rest);
	assert.doesNotMatch(JSON.stringify(log), /secret/, 'a query string is never logged');
	const common = { level: 'debug', path: '/room', ip: '127.0.0.1' };
	const seen = { ...common, conn: 1, origin: 'https://a.example' };
	assert.deepEqual(told, [
		{ level: 'info', event: 'start' },
		{ ...seen, event: 'open', subscribers: 1 },
		{ ...seen, event: 'publish', bytes: 5, subscribers: 1 },
		{ ...common, event: 'publish', origin: 'https://b.example', bytes: 7, subscribers: 1 },
		{ ...common, event: 'refused', path: '/%', code: 400, reason: 'path' },
		{ ...seen, event: 'close', code: 4001, reason: 'bye', subscribers: 0 },
		{ level: 'info', event: 'stop' },
	]);
	for (const { time, msg } of log) {
		assert.equal(new Date(String(time)).toISOString(), time);
		assert.equal(typeof msg, 'string');
	}
});

test('at info neither connections nor publishes are logged', async (t) => {
	const command = runCommand(t, anyPort);
	const port = await command.port();
	const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room`);
	await post(port, '/room', 'x');
	await subscriber.close();
	const log = await stopped(command);
	assert.deepEqual(
		log.map(({ event }) => event),
		['start', 'stop'],
	);
});

test('--log-format text is for people, json for machines, and auto is json where there is no terminal', async (t) => {
	for (const [format, isText] of [
		['text', true],
		['json', false],
		['auto', false],
	] as const) {
		const command = runCommand(t, [...anyPort, '--log-format', format]);
		await command.until(() => /listens on/.exec(command.stdout) ?? undefined);
		command.child.kill('SIGTERM');
		const { stdout } = await command.ended;
		if (isText) assert.match(stdout, /^\[\d{4}-\d\d-\d\d [^\]]+\] INFO: pathcast .* listens on .* \{"event":"start".*\}\n/);
		else assert.equal(entries(stdout).length, 2);
	}
});

test('on a terminal, auto is text, and a hangup ends the server', needs('script', '/usr/bin/script'), async (t) => {
	// script(1) runs the command on a terminal of its own.
	const line = `${process.execPath} ${cliPath} ${anyPort.join(' ')}`;
	const child = spawn('/usr/bin/script', ['-qefc', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
	t.after(() => child.kill('SIGKILL'));
	let output = '';
	for await (const data of child.stdout.iterator({ destroyOnReturn: false })) {
		output += data;
		if (/listens on [^\n]*\n/.test(output)) break;
	}
	assert.match(output, /INFO.*pathcast .* listens on/);
	assert.doesNotMatch(output, /^\{/m);
	const port = Number(/listens on 127\.0\.0\.1:([0-9]+)/.exec(output)?.[1]);
	assert.equal((await post(port, '/', 'x')).status, 200);
	child.kill('SIGKILL');
	// It is gone when nobody listens any more.
	while (await post(port, '/', 'x').catch(() => undefined));
});

test('--log appends to a file, which SIGHUP opens again after it was renamed', async (t) => {
	const file = `${temporaryFolder(t)}/pathcast.log`;
	for (const format of ['json', 'text']) {
		const command = runCommand(t, ['--addr', '127.0.0.1:0', '--mport', 'off', '--log', file, '--log-format', format]);
		await command.wroteTo(file, /listens on/);
		renameSync(file, `${file}.1`);
		command.child.kill('SIGHUP');
		await command.wroteTo(file, /SIGHUP/);
		command.child.kill('SIGTERM');
		const { code, stdout, stderr } = await command.ended;
		assert.deepEqual([code, stdout, stderr], [0, '', '']);
		assert.match(readFileSync(`${file}.1`, 'utf8'), /listens on/);
		const rest = readFileSync(file, 'utf8');
		assert.match(rest, /SIGHUP: the log file was opened again[\s\S]*SIGTERM: stopping/);
		assert.doesNotMatch(rest, /listens on/);
		renameSync(file, `${file}.2`);
	}
	const again = runCommand(t, ['--addr', '127.0.0.1:0', '--mport', 'off', '--log', `${file}.2`]);
	await again.wroteTo(`${file}.2`, /SIGTERM: stopping[\s\S]*listens on/);
});

test('a log file that SIGHUP cannot open again does not stop the server, and is opened by a later one', async (t) => {
	const folder = `${temporaryFolder(t)}/logs`;
	const file = `${folder}/pathcast.log`;
	mkdirSync(folder);
	const port = await freePort();
	const command = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off', '--log', file]);
	await command.wroteTo(file, /listens on/);
	renameSync(folder, `${folder}.1`);
	for (let complaints = 1; complaints <= 2; complaints++) {
		command.child.kill('SIGHUP');
		await command.until(() => command.stderr.split('\n').length > complaints || undefined);
	}
	assert.equal((await post(port, '/room', 'x')).status, 200);
	mkdirSync(folder);
	command.child.kill('SIGHUP');
	await command.wroteTo(file, /SIGHUP: the log file was opened again/);
	command.child.kill('SIGTERM');
	const { code, stderr } = await command.ended;
	const complaint = `pathcast: --log: ${file} cannot be written (ENOENT); create its directory. The log goes on in the file that was open; send SIGHUP again.\n`;
	assert.deepEqual([code, stderr], [0, complaint.repeat(2)]);
	assert.doesNotMatch(readFileSync(`${folder}.1/pathcast.log`, 'utf8'), /opened again/);
});

test('a log file that cannot be opened is refused at start', async (t) => {
	const base = temporaryFolder(t);
	const cases: [string, string][] = [
		[
			`${base}/missing/x.log`,
			`--log: ${base}/missing/x.log cannot be written (ENOENT); create its directory, or choose another file.`,
		],
		[base, `--log: ${base} cannot be written (EISDIR); check its path and permissions, or choose another file.`],
		['x.log', '--log: "x.log" is not the absolute path of a file: begin with / and end with a name.'],
	];
	for (const [file, line] of cases) await refuses(t, [...anyPort, '--log', file], line);
	assert.equal(existsSync(`${base}/missing`), false);
});

test('a reader of standard output that rests holds up nobody, and misses no line until a mebibyte waits', async (t) => {
	const messages = 3_000;
	const command = runCommand(t, [...anyPort, '--log-level', 'debug']);
	const port = await command.port();
	const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room`);
	command.child.stdout?.pause();
	// Some 500 KB of log, more than the system holds between two processes.
	for (let i = 0; i < messages; i++) subscriber.send(String(i));
	await subscriber.texts(messages);
	assert.equal((await post(port, '/room', 'x')).status, 200);
	command.child.stdout?.resume();
	await command.until(() => (command.stdout.split('"event":"publish"').length > messages + 1 ? true : undefined));
	command.child.stdout?.pause();
	for (let i = 0; i < messages; i++) subscriber.send(String(i));
	await subscriber.texts(messages + 1);
	command.child.kill('SIGTERM');
	command.child.stdout?.resume();
	const { code, stdout, stderr } = await command.ended;
	assert.deepEqual([code, stderr], [0, '']);
	const published = entries(stdout).filter(({ event }) => event === 'publish');
	assert.equal(published.length, 2 * messages + 1);
});

test('--trust-proxy takes the right entry of X-Forwarded-For, and nobody else can write the log', async (t) => {
	async function loggedIp(trust: string[], forwardedFor: string | undefined): Promise<unknown> {
		const command = runCommand(t, [...anyPort, '--log-level', 'debug', ...trust]);
		const headers = forwardedFor === undefined ? {} : { 'X-Forwarded-For': forwardedFor };
		await post(await command.port(), '/room', 'x', headers);
		const log = await stopped(command);
		return log.find(({ event }) => event === 'publish')?.ip;
	}
	const trusted = ['--trust-proxy', '127.0.0.0/8,10.0.0.0/8', '--trust-proxy', '2001:db8::/32'];
	assert.equal(await loggedIp([], '1.2.3.4'), '127.0.0.1', 'without trust the header is anybody’s');
	assert.equal(await loggedIp(['--trust-proxy', '10.0.0.0/8'], '1.2.3.4'), '127.0.0.1', 'the peer is no trusted proxy');
	assert.equal(await loggedIp(trusted, undefined), '127.0.0.1');
	assert.equal(await loggedIp(trusted, '1.2.3.4'), '1.2.3.4');
	assert.equal(await loggedIp(trusted, '9.9.9.9, 1.2.3.4'), '1.2.3.4', 'what the client wrote itself comes first');
	assert.equal(await loggedIp(trusted, '9.9.9.9, 1.2.3.4, 10.1.2.3'), '1.2.3.4', 'two proxies');
	assert.equal(await loggedIp(trusted, '2001:db8::5'), '2001:db8::5', 'a trusted address may be the client');
	assert.equal(await loggedIp(trusted, '9.9.9.9, 2001:db9::1, 2001:db8::5'), '2001:db9::1');
	assert.equal(await loggedIp(trusted, '1.2.3.4, unknown'), '127.0.0.1', 'what is no address ends the chain');
	assert.equal(await loggedIp(trusted, '203.0.113.7:17085, , 10.1.2.3:80,'), '203.0.113.7', 'ports, and empty elements');
	for (const wrong of ['nonsense', '10.0.0.0/33', '10.0.0.0/8/8', '::1/129', '10.0.0.0/', '10.0.0.0/x']) {
		await refuses(
			t,
			['--trust-proxy', wrong],
			/^pathcast: --trust-proxy: ".*" is not a list of networks: write addresses or CIDR, as in/,
		);
	}
});
