import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { refuses, runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { post } from '../support/http.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

/** Publishes through a UNIX socket, and gives status and body. */
function postThrough(socketPath: string, path: string, body: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const request = httpRequest({ socketPath, path, method: 'POST', agent: false }, async (response) => {
			let text = `${response.statusCode} `;
			for await (const chunk of response) text += chunk;
			resolve(text);
		});
		request.once('error', reject);
		request.end(body);
	});
}

test('it listens on a UNIX socket with its permissions, and removes it when it stops', async (t) => {
	for (const [mode, args] of [
		[0o660, []],
		[0o600, ['--addr-mode', '0600']],
		[0o666, ['--addr-mode', '666']],
	] as const) {
		const path = join(temporaryFolder(t), 'pathcast.sock');
		const command = runCommand(t, ['--addr', path, '--mport', 'off', ...args]);
		const { msg } = await command.logged('start');
		assert.match(String(msg), new RegExp(`listens on ${path}, operator on off$`));
		assert.equal(statSync(path).mode & 0o777, mode);
		const subscriber = await subscribe(t, `ws+unix:${path}:/room`);
		assert.equal(await postThrough(path, '/room', 'hello'), '200 OK\n');
		assert.equal(await subscriber.nextText(), 'hello');
		command.child.kill('SIGTERM');
		assert.equal((await subscriber.closed).code, 1012);
		assert.equal((await command.ended).code, 0);
		assert.equal(existsSync(path), false);
	}
});

test("a live server's socket is refused, and the server goes on", async (t) => {
	const path = join(temporaryFolder(t), 'pathcast.sock');
	const first = runCommand(t, ['--addr', path, '--mport', 'off']);
	await first.logged('start');
	await refuses(t, ['--addr', path, '--mport', 'off'], `--addr: a server listens at ${path}; stop it, or choose another path.`);
	assert.equal(await postThrough(path, '/', 'x'), '200 OK\n');
});

test('whatever is no socket is refused, and nothing is deleted', async (t) => {
	const base = temporaryFolder(t);
	const file = join(base, 'precious');
	writeFileSync(file, 'precious');
	for (const path of [file, base]) {
		const line = `--addr: ${path} exists and is no socket; nothing was deleted. Remove it, or choose another path.`;
		await refuses(t, ['--addr', path, '--mport', 'off'], line);
	}
	assert.equal(readFileSync(file, 'utf8'), 'precious');
});

test('a path that cannot be used is refused with the remedy', async (t) => {
	const base = temporaryFolder(t);
	const missing = join(base, 'missing', 'x.sock');
	await refuses(
		t,
		['--addr', missing, '--mport', 'off'],
		/: its directory does not exist; create it, or choose another path\.\n$/,
	);
	await refuses(
		t,
		['--addr', `/${'x'.repeat(107)}`, '--mport', 'off'],
		/is too long for a UNIX socket: its path may take 107 bytes\.\n$/,
	);
	await refuses(t, ['--addr', `${base}/`, '--mport', 'off'], /is not the absolute path of a file/);
	await refuses(t, ['--addr-mode', '999'], '--addr-mode: "999" is not a mode: write three octal digits, as in 0660.');
	if (process.getuid?.() === 0) return t.diagnostic('root may write anywhere, so no permission is tried');
	chmodSync(base, 0o500);
	await refuses(t, ['--addr', join(base, 'x.sock'), '--mport', 'off'], /this user may not write to its directory/);
});

test('after kill -9 it starts again on the same address, on both kinds', async (t) => {
	const port = await freePort();
	const path = join(temporaryFolder(t), 'pathcast.sock');
	for (const addr of [`127.0.0.1:${port}`, path]) {
		const first = runCommand(t, ['--addr', addr, '--mport', 'off']);
		await first.logged('start');
		if (addr !== path) await subscribe(t, `ws://${addr}/room`);
		first.child.kill('SIGKILL');
		await first.ended;
		assert.equal(existsSync(path), addr === path, 'a killed server leaves its socket behind');
		const second = runCommand(t, ['--addr', addr, '--mport', 'off']);
		await second.logged('start');
		if (addr === path) assert.equal(await postThrough(path, '/', 'x'), '200 OK\n');
		else assert.equal((await post(port, '/', 'x')).status, 200);
	}
});

test('a socket that another server has put in place of ours is not removed when we stop', async (t) => {
	const path = join(temporaryFolder(t), 'pathcast.sock');
	const first = runCommand(t, ['--addr', path, '--mport', 'off']);
	await first.logged('start');
	rmSync(path);
	const second = runCommand(t, ['--addr', path, '--mport', 'off']);
	await second.logged('start');
	first.child.kill('SIGTERM');
	assert.equal((await first.ended).code, 0);
	assert.equal(await postThrough(path, '/', 'x'), '200 OK\n');
});
