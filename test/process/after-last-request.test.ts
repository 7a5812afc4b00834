import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { anyPort, type Command, runCommand } from '../support/command.js';
import { post } from '../support/http.js';

// Two of these answers fill the engine's buffer, and a head of that size gets memory that malloc checks.
const page = `GET /x HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(700)}\r\nAccept-Encoding: br\r\n\r\n`;
const after = `3E\r\n${'z'.repeat(100)}`;
const put = (fields: string) => `PUT /x HTTP/1.1\r\nHost: x\r\n${fields}Content-Length: 1\r\n\r\nx`;
const remove = (fields: string) => `DELETE /x HTTP/1.1\r\nHost: x\r\n${fields}\r\n`;

test('bytes after a request that closes its connection, behind large answers, do not end the process', async (t) => {
	const command = runCommand(t, anyPort, [], checkedMemory);
	const port = await command.port();
	for (const connection of ['close', 'abcde'])
		for (const last of [put, remove]) await throwAt(command, port, last(`Connection: ${connection}\r\n`));
	assert.equal((await post(port, '/room', 'x')).status, 200);
});

test('bytes after a request, behind large answers, do not end a process that stops', async (t) => {
	const command = runCommand(t, [...anyPort, '--drain-delay', '60s'], [], checkedMemory);
	const port = await command.port();
	command.child.kill('SIGTERM');
	await command.logged('stop');
	for (const last of ['', put(''), remove('')]) await throwAt(command, port, last);
	assert.equal((await post(port, '/room', 'x')).status, 200);
});

// Freed memory is overwritten, so that its use shows.
const checkedMemory = { ...process.env, MALLOC_PERTURB_: '165' };

async function throwAt(command: Command, port: number, last: string): Promise<void> {
	for (let i = 0; i < 50 && command.child.signalCode === null; i++) {
		const socket = connect(port, '127.0.0.1').setNoDelay(true).pause();
		socket.on('error', () => {});
		const bytes = `${page}${page}${last}${after}`;
		// In two reads, so that the engine keeps the first in memory.
		await new Promise((resolve) => socket.write(bytes.slice(0, 3), resolve));
		await post(port, '/round-trip', '').catch(() => {});
		await new Promise((resolve) => socket.write(bytes.slice(3), resolve));
		await post(port, '/round-trip', '').catch(() => {});
		socket.resetAndDestroy();
		if (!socket.closed) await once(socket, 'close');
	}
	assert.deepEqual([command.child.signalCode, command.stderr], [null, '']);
}
