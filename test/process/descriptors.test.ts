import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, renameSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { connectionLimit } from '#src/listening/descriptors.js';
import { anyPort, runCommand, runWithin } from '../support/command.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

test('the limit of connections leaves room for everything else, whatever the limit of file descriptors', () => {
	const warnings: string[] = [];
	const log = pino({ level: 'warn' }, { write: (line) => void warnings.push(JSON.parse(line).msg) });
	const cases = [
		[0, 256, 0, 192],
		[0, 256, 256, 1],
		[0, 1_024, 0, 768],
		[0, 65_536, 0, 64_536],
		[0, 65_536, 256, 64_280],
		[0, 1_048_576, 0, 1_047_576],
		[100, 1_024, 0, 100],
		[1_000, 1_024, 0, 768],
		[2_000_000, 1_048_576, 0, 1_047_576],
	] as const;
	for (const [asked, openFiles, toServices, limit] of cases)
		assert.equal(connectionLimit(asked, openFiles, toServices, log), limit, `${asked} of ${openFiles}`);
	assert.deepEqual(
		warnings.map((line) => /which allows ([0-9]+) websockets/.exec(line)?.[1]),
		['192', '1', '768', '768', '1047576'],
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

const onLinux = { skip: process.platform === 'linux' ? false : 'needs /proc' };
test('a ulimit -n that is too low even to start gets one line', onLinux, async (t) => {
	for (const openFilesMax of [24, 255]) {
		const { code, stdout, stderr } = await runWithin(t, openFilesMax, anyPort).ended;
		assert.deepEqual([code, stdout], [1, '']);
		assert.equal(stderr, `pathcast: ulimit -n is ${openFilesMax}, which is too low to start: raise it to 256 or more.\n`);
	}
});

test('the smallest ulimit -n that starts has room for every file of the command at once', () => {
	const dist = fileURLToPath(new URL('.', import.meta.resolve('#src/cli.js')));
	const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) => /^(?!page\/|build-).*\.js$/.test(name));
	assert.ok(files.length > 100, `${files.length} files`);
	// Some 25 are Node's own, and as many again are left for the listeners and the log.
	assert.ok(files.length + 50 <= 256, `${files.length} files`);
});

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
