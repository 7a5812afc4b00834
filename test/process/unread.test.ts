import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { anyPort, runCommand } from '../support/command.js';
import { post } from '../support/http.js';

// The engine aborts the process if it drops an answer that it cannot write, and finds no abort handler.
test('a client that asks much, reads nothing and goes away does not end the process', async (t) => {
	const command = runCommand(t, anyPort);
	const port = await command.port();
	const requests = [
		'GET /room HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(8),
		'GET /% HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(150),
		'DELETE /room HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(150),
	];
	for (const text of requests) {
		for (let round = 0; round < 200; round++) {
			const socket = connect(port, '127.0.0.1');
			socket.on('error', () => {});
			await once(socket, 'connect');
			socket.write(text);
			// A reset in the middle of the answers: at the first byte of them, or a few bytes later.
			await once(socket, 'data');
			socket.write(text);
			socket.resetAndDestroy();
		}
		const silent = connect(port, '127.0.0.1');
		silent.on('error', () => {});
		silent.pause();
		await once(silent, 'connect');
		for (let i = 0; i < 2_000 && silent.writable; i++) {
			// It is closed meanwhile: that many requests are too many.
			if (!silent.write(text)) await Promise.race([once(silent, 'drain').catch(() => {}), post(port, '/other', '')]);
		}
		silent.destroy();
	}
	assert.equal((await post(port, '/room', 'x')).status, 200);
	assert.equal(command.child.exitCode, null);
});
