import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyPort, runCommand } from '../support/command.js';
import { post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

protocol(
	"SIGTERM, SIGINT, and a POST to `/drain` of the operator's listener, answered first, close every websocket with 1012 and a reason, after its last message, and the command exits with 0.",
	async (t) => {
		for (const way of ['SIGTERM', 'SIGINT', '/drain'] as const) {
			const command = runCommand(t, anyPort);
			const port = await command.port();
			const subscribers = await Promise.all(['/a', '/a', '/b'].map((path) => subscribe(t, `ws://127.0.0.1:${port}${path}`)));
			for (const path of ['/a', '/b']) await post(port, path, 'last');
			if (way === '/drain') {
				const { status, body } = await request(await command.operatorPort(), { method: 'POST', path: way });
				assert.deepEqual([status, body], [202, 'The server closes its websockets and stops, as after SIGTERM.\n']);
			} else {
				command.child.kill(way);
			}
			for (const subscriber of subscribers) {
				assert.equal(await subscriber.nextText(), 'last');
				assert.deepEqual(await subscriber.closed, { code: 1012, reason: 'the server is restarting; connect again' });
			}
			const { code, signal: killedBy, stderr } = await command.ended;
			assert.deepEqual([code, killedBy, stderr], [0, null, '']);
			await assert.rejects(post(port, '/a', 'x'), /closed/);
		}
	},
);

protocol(
	'Requests whose body is still coming when the server stops, or which wait for a service, are finished first, for up to five seconds.',
	async (t) => {
		const command = runCommand(t, anyPort);
		const port = await command.port();
		const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room`);
		const slow = new RawConnection(port);
		await slow.write('POST /room HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n');
		assert.equal((await slow.answer()).status, 100);
		await slow.write('fin');
		command.child.kill('SIGTERM');
		await command.logged('stop');
		await assert.rejects(post(port, '/room', 'x'), /closed/, 'nothing new is accepted');
		await slow.write('ish');
		assert.equal((await slow.answer()).headers.get('x-subscribers'), '1');
		assert.equal(await subscriber.nextText(), 'finish');
		assert.equal((await subscriber.closed).code, 1012);
		slow.end();
		assert.equal((await command.ended).code, 0);
	},
);

test('SIGHUP, once and twice, and SIGPIPE end nothing', async (t) => {
	for (const log of [[], ['--log', `${temporaryFolder(t)}/x.log`]]) {
		const command = runCommand(t, [...anyPort, ...log]);
		const [, file] = log;
		const told = (pattern: RegExp) =>
			file === undefined ? command.until(() => pattern.exec(command.stdout) ?? undefined) : command.wroteTo(file, pattern);
		await told(/listens on/);
		const words = file === undefined ? 'SIGHUP: there is no log file to open again' : 'SIGHUP: the log file was opened again';
		for (const reopened of [new RegExp(words), new RegExp(`${words}[^]*${words}`)]) {
			command.child.kill('SIGPIPE');
			command.child.kill('SIGHUP');
			await told(reopened);
		}
		command.child.kill('SIGTERM');
		const { code, signal, stderr } = await command.ended;
		assert.deepEqual([code, signal, stderr], [0, null, '']);
	}
});
