import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { connectionLimit } from '#src/listening/descriptors.js';
import { anyPort, runCommand, runWithin } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { handshakeHeaders, post, request } from '../support/http.js';
import { metricOf } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

test('the limit of connections leaves room for everything else, whatever the limit of file descriptors', () => {
	const warnings: string[] = [];
	const log = pino({ level: 'warn' }, { write: (line) => void warnings.push(JSON.parse(line).msg) });
	const cases = [
		[0, 1, 1],
		[0, 64, 1],
		[0, 256, 192],
		[0, 1_024, 768],
		[0, 65_536, 64_536],
		[0, 1_048_576, 1_047_576],
		[100, 1_024, 100],
		[100, 128, 64],
		[2_000_000, 1_048_576, 1_047_576],
	] as const;
	for (const [asked, openFiles, limit] of cases)
		assert.equal(connectionLimit(asked, openFiles, 0, log), limit, `${asked} of ${openFiles}`);
	assert.deepEqual(
		warnings.map((line) => /which allows ([0-9]+) websockets/.exec(line)?.[1]),
		['1', '1', '192', '768', '64', '1047576'],
	);
});

test('the start line tells how many connections there may be; a low ulimit -n is warned about', async (t) => {
	const low = runWithin(t, 256, anyPort);
	const { connectionsMax } = await low.logged('start');
	assert.equal(connectionsMax, 192);
	const { level, msg } = await low.logged('limits');
	const remedy = 'raise it (in systemd, LimitNOFILE=) for more';
	assert.deepEqual([level, msg], ['warn', `ulimit -n is 256, which allows 192 websockets: ${remedy}`]);

	const asked = runWithin(t, 256, [...anyPort, '--max-connections', '1000']);
	assert.equal((await asked.logged('start')).connectionsMax, 192);
	assert.match(String((await asked.logged('limits')).msg), /192 websockets, not the --max-connections of 1000: raise it/);

	const enough = runCommand(t, [...anyPort, '--max-connections', '100']);
	assert.equal((await enough.logged('start')).connectionsMax, 100);
	assert.equal(enough.stdout.split('\n').length, 2, 'no warning');
});

/** The CPU time of a process so far, in seconds (proc(5): utime and stime, a hundredth each). */
function cpuSeconds(pid: number): number {
	const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
		.replace(/^.*\) /s, '')
		.split(' ');
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The share of a core that an idle process takes, over a second. */
async function idleLoad(pid: number): Promise<number> {
	const before = cpuSeconds(pid);
	await setTimeout(1_000);
	return cpuSeconds(pid) - before;
}

const onLinux = { skip: process.platform === 'linux' ? false : 'needs /proc' };
// A loop that spins takes all of it.
const idleLoadMax = 0.3;

test('a ulimit -n that is too low even to start gets one line', onLinux, async (t) => {
	for (const openFilesMax of [24, 63]) {
		const { code, stdout, stderr } = await runWithin(t, openFilesMax, anyPort).ended;
		assert.deepEqual([code, stdout], [1, '']);
		assert.equal(stderr, `pathcast: ulimit -n is ${openFilesMax}, which is too low to start: raise it to 64 or more.\n`);
	}
	assert.equal((await runWithin(t, 64, anyPort).logged('start')).connectionsMax, 1);
});

test('with ulimit -n 256, upgrades beyond the limit get 503, nothing spins, and places come free again', onLinux, async (t) => {
	const command = runWithin(t, 256, anyPort);
	const port = await command.port();
	const operatorPort = await command.operatorPort();
	const { connectionsMax } = await command.logged('start');
	const room = `ws://127.0.0.1:${port}/room`;
	const subscribers = await Promise.all(Array.from({ length: Number(connectionsMax) }, () => subscribe(t, room)));

	for (let i = 0; i < 300; i++) {
		const { status, headers } = await request(port, { path: '/room', headers: handshakeHeaders });
		assert.deepEqual([status, headers.get('retry-after')], [503, '5']);
	}
	const load = await idleLoad(command.child.pid as number);
	t.diagnostic(`${load} of a core, idle at the limit`);
	assert.ok(load < idleLoadMax, `${load} of a core`);
	assert.equal((await post(port, '/room', 'everybody')).headers.get('x-subscribers'), '192');
	for (const subscriber of subscribers) assert.equal(await subscriber.nextText(), 'everybody');
	assert.equal(await metricOf(operatorPort, 'pathcast_refusals_total{reason="connections"}'), 300);

	await Promise.all(subscribers.slice(0, 100).map((subscriber) => subscriber.close()));
	while ((await metricOf(operatorPort, 'pathcast_subscribers')) > 92);
	await Promise.all(Array.from({ length: 100 }, () => subscribe(t, room)));
	assert.equal((await post(port, '/room', 'again')).headers.get('x-subscribers'), '192');
});

for (const kind of ['port', 'UNIX socket']) {
	test(
		`a flood of idle connections to a ${kind} takes all descriptors: nothing spins, who is there is served, and it recovers`,
		onLinux,
		async (t) => {
			const path = `${temporaryFolder(t)}/pathcast.sock`;
			const port = await freePort();
			const addr = kind === 'port' ? `127.0.0.1:${port}` : path;
			// With a budget, because Node needs a descriptor to tell what it holds.
			const command = runWithin(t, 256, ['--addr', addr, '--mport', 'off', '--memory-budget', '4096MiB']);
			await command.logged('start');
			const room = kind === 'port' ? `ws://127.0.0.1:${port}/room` : `ws+unix:${path}:/room`;
			const first = await subscribe(t, room);
			const second = await subscribe(t, room);

			const flood = Array.from({ length: 400 }, () => (kind === 'port' ? connect(port, '127.0.0.1') : connect(path)));
			t.after(() => {
				for (const socket of flood) socket.destroy();
			});
			// Refused, or reset while it waited to be accepted.
			for (const socket of flood) socket.on('error', () => {});
			await command.until(() => /no file descriptor is left/.exec(command.stdout) ?? undefined);
			const load = await idleLoad(command.child.pid as number);
			t.diagnostic(`${load} of a core, without descriptors`);
			assert.ok(load < idleLoadMax, `${load} of a core`);
			first.send('still served');
			assert.equal(await second.nextText(), 'still served');

			for (const socket of flood) socket.destroy();
			await command.until(() => /connections are accepted again/.exec(command.stdout) ?? undefined);
			const third = await subscribe(t, room);
			first.send('recovered');
			assert.equal(await third.nextText(), 'recovered');
			command.child.kill('SIGTERM');
			assert.equal((await third.closed).code, 1012);
			assert.equal((await command.ended).code, 0);
			assert.equal(existsSync(path), false);
		},
	);
}

test('a server that has taken the UNIX socket meanwhile is left alone, until it is gone', onLinux, async (t) => {
	const path = `${temporaryFolder(t)}/pathcast.sock`;
	const command = runWithin(t, 256, ['--addr', path, '--mport', 'off']);
	await command.logged('start');
	const flood = Array.from({ length: 400 }, () => connect(path).on('error', () => {}));
	await command.until(() => /no file descriptor is left/.exec(command.stdout) ?? undefined);
	// Kept under another name, so that its inode is not given to the other one.
	renameSync(path, `${path}.old`);
	const other = createServer().listen(path);
	await once(other, 'listening');
	for (const socket of flood) socket.destroy();
	await command.until(() => /does another server listen there now\?/.exec(command.stdout) ?? undefined);
	await once(connect(path).end(), 'connect');
	other.close();
	await command.until(() => /connections are accepted again/.exec(command.stdout) ?? undefined);
	const subscriber = await subscribe(t, `ws+unix:${path}:/room`);
	subscriber.send('x');
	assert.equal(await subscriber.nextText(), 'x');
});
