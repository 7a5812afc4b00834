import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { flagOf, optionTable } from '#src/options/table.js';
import { anyPort, cliPath, refuses, runCommand, runProgram } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { post, request } from '../support/http.js';
import { subscribe } from '../support/subscriber.js';

const onLinux = { skip: process.platform === 'linux' ? false : 'needs /dev/full' };
const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));

test('it tells in one line at start its version, its real addresses and the page, and serves', async (t) => {
	const command = runCommand(t, anyPort);
	const { msg, version: loggedVersion, engine, addr, mport, page } = await command.logged('start');
	assert.equal(loggedVersion, version);
	assert.equal(msg, `pathcast ${version} on uWebSockets.js ${engine} listens on ${addr}, operator on ${mport}; open ${page}`);
	assert.equal(page, `http://localhost:${String(addr).slice('127.0.0.1:'.length)}/`);
	assert.equal(command.stdout.split('\n').length, 2);
	const port = await command.port();
	const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room/1`);
	const { body } = await post(port, '/room/1', 'hello');
	assert.equal(body, 'OK\n');
	assert.equal(await subscriber.nextText(), 'hello');
	assert.equal((await request(Number(String(mport).slice('127.0.0.1:'.length)), { path: '/readyz' })).status, 200);
	assert.equal(command.stderr, '');
});

test('it listens on all interfaces with :port, and on IPv6 with brackets', async (t) => {
	const hasIPv6 = Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === '::1'));
	const all = runCommand(t, ['--addr', ':0', '--mport', 'off']);
	const port = await all.port();
	assert.equal((await request(port, { path: '/' })).status, 200);
	assert.match(String((await all.logged('start')).msg), /operator on off/);
	if (!hasIPv6) return t.diagnostic('no IPv6 here');
	assert.equal((await fetch(`http://[::1]:${port}/`)).status, 200);
	const six = runCommand(t, ['--addr', '[::1]:0', '--mport', 'off']);
	const { addr } = await six.logged('start');
	assert.match(String(addr), /^\[::1\]:[0-9]+$/);
	assert.equal((await fetch(`http://${addr}/`)).status, 200);
});

test('two processes never share an address', async (t) => {
	// On port 0 the engine shares with nobody anyway.
	const first = runCommand(t, ['--addr', `127.0.0.1:${await freePort()}`, '--mport', String(await freePort())]);
	const { addr, mport } = await first.logged('start');
	const inUse = 'it is in use; stop the server that has it, or choose another port.';
	await refuses(t, ['--addr', String(addr), '--mport', '0'], `--addr: cannot listen on ${addr}: ${inUse}`);
	await refuses(t, ['--addr', '127.0.0.1:0', '--mport', String(mport)], `--mport: cannot listen on ${mport}: ${inUse}`);
	const port = String(addr).slice('127.0.0.1:'.length);
	await refuses(t, ['--addr', `:${port}`, '--mport', '0'], new RegExp(`--addr: cannot listen on .*:${port}: ${inUse}`));

	const other = createServer().listen(0, '127.0.0.1');
	t.after(() => other.close());
	await new Promise((resolve) => other.once('listening', resolve));
	const { port: taken } = other.address() as { port: number };
	await refuses(t, ['--addr', `127.0.0.1:${taken}`, '--mport', '0'], `--addr: cannot listen on 127.0.0.1:${taken}: ${inUse}`);
	assert.equal((await request(Number(port), {})).status, 200, 'the first one was not disturbed');
});

test('a wrong value is one line on standard error that names the flag and the remedy', async (t) => {
	const address = 'is not an address: write host:port, :port for all interfaces, [::1]:port, or /absolute/path.';
	const message = 'is not a size from 1 to 64MiB: write bytes, or 64KiB, or 4MiB.';
	const cases: [string[], string | RegExp][] = [
		[['--addr', 'nowhere'], `--addr: "nowhere" ${address}`],
		[['--addr', ''], '--addr: "" is empty: leave it out, or give it a value.'],
		[['--origin='], '--origin: "" is empty: leave it out, or give it a value.'],
		[['--addr', '::1'], `--addr: "::1" ${address}`],
		[['--addr', '[::g]:1'], `--addr: "[::g]:1" ${address}`],
		[['--addr', 'http://localhost:1'], `--addr: "http://localhost:1" ${address}`],
		[['--addr', '127.0.0.1:70000'], '--addr: "127.0.0.1:70000" has no such port: ports go from 0 (any free one) to 65535.'],
		[
			['--addr', 'nowhere.invalid:1', '--mport', '0'],
			/--addr: the host nowhere\.invalid cannot be resolved; give an IP address or a known name/,
		],
		[
			['--addr', '192.0.2.1:8081', '--mport', '0'],
			/--addr: cannot listen on 192\.0\.2\.1:8081: it is no address of this machine/,
		],
		[['--mport', 'on'], '--mport: "on" is not an address: write a port (on 127.0.0.1), host:port, or off.'],
		[['--mport', '70000'], '--mport: "70000" has no such port: ports go from 0 (any free one) to 65535.'],
		[['--log-level', 'loud'], '--log-level: "loud" is none of fatal, error, warn, info, debug, trace, silent.'],
		[['--max-message', '-1'], `--max-message: "-1" ${message}`],
		[['--max-message', '0'], `--max-message: "0" ${message}`],
		[['--max-message', '1GB'], `--max-message: "1GB" ${message}`],
		[['--max-message', '65MiB'], `--max-message: "65MiB" ${message}`],
		[['--max-message', '99999999999999999999'], `--max-message: "99999999999999999999" ${message}`],
		[['--max-message', '1e3'], `--max-message: "1e3" ${message}`],
		[['--max-path', '0'], '--max-path: "0" is not a whole number from 1 to 4096.'],
		[['--max-path', '2.5'], '--max-path: "2.5" is not a whole number from 1 to 4096.'],
		[['--client-publish', 'some'], '--client-publish: "some" is none of all, none.'],
		[['--post', 'nobody'], '--post: "nobody" is none of public, admin.'],
		[
			['--post', 'admin', '--mport', 'off'],
			"--post admin leaves nobody to POST without the operator's listener: give --mport, or --post public.",
		],
		[['--ping-timeout', '7s'], /--ping-timeout: "7s" is not a duration from 8s to 960s/],
		[['--ping-timeout', '961s'], /--ping-timeout: "961s" is not a duration/],
		[['--ping-timeout', '30'], /--ping-timeout: "30" is not a duration from 8s to 960s: write 30s, or 2m, or 0 for never\./],
		[['--ping-timeout', '-8s'], /--ping-timeout: "-8s" is not a duration/],
		[['--max-age', '0s'], '--max-age: "0s" is not a duration from 1s to 720h: write 30m, or 12h, or off.'],
		[['--drain', '5'], '--drain: "5" is not a duration from 0s to 1h: write 30s, or 2m.'],
		[['--drain-delay', '3601s'], /--drain-delay: "3601s" is not a duration from 0s to 1h/],
		[['--max-backlog', '0'], /--max-backlog: "0" is not a size from 1KiB to 1024MiB/],
		[['--max-backlog', '5000MiB'], /--max-backlog: "5000MiB" is not a size/],
		[['--max-backlog', '32KiB'], /--max-backlog \(32768 bytes\) is below --max-message \(65536 bytes\)/],
		[['--write-timeout', '3601s'], /--write-timeout: "3601s" is not a duration from 1s to 3600s/],
		[['--max-connections', '-1'], '--max-connections: "-1" is not a whole number from 0 to 100000000.'],
		[['--max-channels', '1e3'], '--max-channels: "1e3" is not a whole number from 0 to 100000000.'],
		[['--max-subscribers', 'all'], '--max-subscribers: "all" is not a whole number from 0 to 100000000.'],
		[['--max-rate', '2000000'], '--max-rate: "2000000" is not a whole number from 0 to 1000000.'],
		[
			['--memory-budget', '63MiB'],
			'--memory-budget: "63MiB" is not a size from 64MiB to 1048576MiB: write bytes, or 64KiB, or 4MiB, or 0 for none.',
		],
		[['--origin', 'example.com'], /--origin: "example\.com" is not a list of origins: write scheme:\/\/host\[:port\]/],
		[['--origin', 'https://example.com/path'], /--origin: /],
		[
			['--origin', 'https://a.example,*'],
			/--origin: "https:\/\/a\.example,\*" would allow every page, which is so without this option/,
		],
		[['--origin', 'https://a.*.example'], /--origin: /],
		[['--origin', 'https://*'], /--origin: /],
		[['--origin', 'NULL'], /--origin: /],
		[['--origin', 'https://user@example.com'], /--origin: /],
		[['--origin', 'https://a.example', '--origin', 'none'], /--origin: "https:\/\/a\.example,none" is not a list of origins/],
		[['--nonsense'], "unknown option '--nonsense'; pathcast --help lists the options."],
		[
			['--max-mesage', '1'],
			/unknown option '--max-mesage' \(Did you mean --max-message\?\); pathcast --help lists the options\./,
		],
		[['--addr'], "option '--addr <address>' argument missing; pathcast --help lists the options."],
		[['surplus'], /too many arguments\. Expected 0 arguments but got 1; pathcast --help lists the options\./],
	];
	await Promise.all(cases.map(([args, line]) => refuses(t, args, line)));
});

test('the bounds of every number are good values', async (t) => {
	for (const args of [
		['--max-message', '1', '--max-path', '1', '--ping-timeout', '8s', '--max-backlog', '1KiB'],
		['--max-message', '64MiB', '--max-path', '4096', '--ping-timeout', '960s', '--max-backlog', '1024MiB'],
		['--memory-budget', '0'],
		['--memory-budget', '1048576MiB'],
		['--max-connections', '1', '--max-channels', '1', '--max-subscribers', '1', '--max-rate', '1'],
		['--max-connections', '100000000', '--max-channels', '100000000', '--max-subscribers', '100000000', '--max-rate', '1000000'],
		['--write-timeout', '1s'],
		['--write-timeout', '60m'],
		['--write-timeout', '0'],
		['--ping-timeout', '0', '--drain', '0', '--drain-delay', '0s', '--max-age', '720h'],
		['--ping-timeout', '16m', '--drain', '1h', '--max-age', 'off'],
	]) {
		const command = runCommand(t, [...anyPort, ...args]);
		const subscriber = await subscribe(t, `ws://127.0.0.1:${await command.port()}/`);
		subscriber.send('x');
		assert.equal(await subscriber.nextText(), 'x', args.join(' '));
		command.child.kill('SIGTERM');
		assert.equal((await command.ended).code, 0);
	}
});

test('--help lists every option with its default, --version prints the version first', async (t) => {
	const help = await runCommand(t, ['--help']).ended;
	assert.deepEqual([help.code, help.stderr], [0, '']);
	assert.ok(help.stdout.split('\n').every((line) => line.length <= 100));
	for (const group of ['Listening', 'Who may connect', 'Messages', 'Limits', 'Closing', 'Logging'])
		assert.match(help.stdout, new RegExp(`^${group}:$`, 'm'));
	const text = help.stdout.replace(/\s+/g, ' ');
	for (const [name, row] of Object.entries(optionTable)) {
		const value = 'value' in row ? ` <${row.value}>` : ' [true|false]';
		const shownDefault = 'value' in row && row.default !== '' ? ` (default: "${row.default}")` : '';
		assert.ok(text.includes(`${flagOf(name as keyof typeof optionTable)}${value} ${row.help}${shownDefault}`), name);
	}
	const shown = await runCommand(t, ['--version']).ended;
	assert.deepEqual([shown.code, shown.stdout.split(' ', 1), shown.stderr], [0, [version], '']);
});

test('help that cannot be written gets one line; one who reads its first line only gets that', onLinux, async (t) => {
	const shell = (line: string) => runProgram(t, '/bin/sh', ['-c', line, process.execPath, cliPath]).ended;
	const full = await shell('exec "$0" "$@" --help > /dev/full');
	assert.deepEqual([full.code, full.stderr], [1, 'pathcast: standard output cannot be written (ENOSPC).\n']);
	const head = await shell('"$0" "$@" --help | head -1');
	assert.match(head.stdout, /^Usage: [^\n]+\n$/);
	assert.equal(head.stderr, '');
});
