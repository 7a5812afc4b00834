// The last answer on a connection: that it reaches a client which asks for the connection to be closed.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../support/command.js';
import { RawConnection } from '../support/http.js';
import { assertRefused } from '../support/late-reader.js';
import { protocol } from '../support/protocol.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const tls = (name: string) => fileURLToPath(new URL(`../../../test/support/tls/valid.${name}.pem`, import.meta.url));

protocol(
	'A refusal reaches a client that asks for that and reads only when it has sent its whole body: the rest is discarded first, up to 16 MiB or for five seconds.',
	async (t) => {
		const plain = await startTestServer(t, '--origin', 'https://a.example');
		const path = join(temporaryFolder(t), 'pathcast.sock');
		await runCommand(t, ['--addr', path, '--mport', 'off']).logged('start');
		const overUnix = () => connect(path);
		const encrypted = await startTestServer(t, '--tls-cert', tls('cert'), '--tls-key', tls('key'));
		const overTls = () => connectTls({ port: encrypted.port, host: '127.0.0.1', rejectUnauthorized: false });
		const overTcp = () => connect(plain.port, '127.0.0.1');
		const toOperator = () => connect(plain.operatorPort, '127.0.0.1');
		const large = Buffer.alloc(2_000_000, 'x');
		const small = Buffer.alloc(70_000, 'x');
		const cases: [() => Socket, head: string, body: Buffer, status: number][] = [
			[overTcp, 'POST /room HTTP/1.1\r\n', large, 413],
			[overTcp, 'POST /room HTTP/1.1\r\n', small, 413],
			[overTcp, 'POST /room HTTP/1.1\r\nOrigin: https://evil.example\r\n', large, 403],
			[overTcp, 'PUT /%zz HTTP/1.1\r\n', large, 400],
			[overTcp, 'PATCH /room HTTP/1.1\r\n', large, 405],
			[overTls, 'POST /room HTTP/1.1\r\n', large, 413],
			[overUnix, 'POST /room HTTP/1.1\r\n', large, 413],
			[toOperator, 'POST /channels/room HTTP/1.1\r\n', large, 413],
			[toOperator, 'POST /nowhere HTTP/1.1\r\n', large, 404],
			[toOperator, 'PUT /stats HTTP/1.1\r\n', large, 405],
		];
		for (const [open, head, body, status] of cases) {
			await assertRefused(t, open, head, body, status);
		}
	},
);

test('a body that never ends is discarded for five seconds, and the connection closed', async (t) => {
	const server = await startTestServer(t);
	const connection = new RawConnection(server.port);
	await connection.write('POST /room HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\nx');
	assert.match(await connection.closed, /^HTTP\/1\.1 413 /);
});

protocol(
	'`Connection: close` closes the connection after the answer, and after one with a body, if it stands among other tokens as well.',
	async (t) => {
		const server = await startTestServer(t);
		const subscriber = await subscribe(t, server.ws('/room'));
		const fields = ['close', 'TE, close', 'close, TE', 'Close', 'keep-alive,close', 'TE\r\nConnection: close'];
		for (const [i, field] of fields.entries()) {
			for (const [request, status] of [
				[`POST /room HTTP/1.1\r\nContent-Length: 1\r\n`, 200],
				['GET /room HTTP/1.1\r\n', 200],
				['HEAD /room HTTP/1.1\r\n', 200],
				['OPTIONS /room HTTP/1.1\r\n', 204],
				['DELETE /room HTTP/1.1\r\n', 405],
			] as const) {
				const isBodiless = /^(HEAD|OPTIONS)/.test(request);
				if (isBodiless && field.toLowerCase() !== 'close') continue;
				const connection = new RawConnection(server.port);
				await connection.write(`${request}Host: x\r\nConnection: ${field}\r\n\r\n${request.startsWith('POST') ? i : ''}`);
				const answer = await connection.closed;
				assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*\r\n\r\n`), `${request} ${field}`);
				assert.match(answer, /^Connection: close\r$/m, `${request} ${field}`);
			}
			assert.equal(await subscriber.nextText(), String(i));
		}
	},
);
