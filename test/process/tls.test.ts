import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { test } from 'node:test';
import { anyPort, refuses, runCommand } from '../support/command.js';
import { RawConnection } from '../support/http.js';
import { pem } from '../support/pem.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const cert = pem('valid.cert');
const key = pem('valid.key');

function postOverTls(port: number, path: string, body: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const options = { host: '127.0.0.1', port, path, method: 'POST', agent: false, rejectUnauthorized: false };
		const request = httpsRequest(options, async (response) => {
			let text = `${response.statusCode} ${response.headers['x-subscribers']} `;
			for await (const chunk of response) text += chunk;
			resolve(text);
		});
		request.once('error', reject);
		request.end(body);
	});
}

test('with a certificate and its key it speaks https and wss, and nothing else', async (t) => {
	const command = runCommand(t, [...anyPort, '--tls-cert', cert, '--tls-key', key]);
	const { page } = await command.logged('start');
	const port = await command.port();
	assert.equal(page, `https://localhost:${port}/`);
	const subscribers = [];
	for (let i = 0; i < 3; i++) subscribers.push(await subscribe(t, `wss://127.0.0.1:${port}/room`, { rejectUnauthorized: false }));
	assert.equal(await postOverTls(port, '/room', 'by POST'), '200 3 OK\n');
	const large = 'x'.repeat(65_536);
	subscribers[0]?.send(large);
	// A burst, which takes the deferred way.
	const burst = Array.from({ length: 300 }, (_, i) => `burst ${i}`);
	for (const text of burst) subscribers[0]?.send(text);
	for (const subscriber of subscribers) assert.deepEqual(await subscriber.texts(302), ['by POST', large, ...burst]);

	const plain = new RawConnection(port);
	await plain.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
	assert.doesNotMatch(await plain.closed, /HTTP/);
	command.child.kill('SIGTERM');
	for (const subscriber of subscribers) assert.equal((await subscriber.closed).code, 1012);
	assert.equal((await command.ended).code, 0);
});

test('compression is offered by nobody and accepted from nobody', async (t) => {
	for (const tls of [[], ['--tls-cert', cert, '--tls-key', key]]) {
		const command = runCommand(t, [...anyPort, ...tls]);
		const scheme = tls.length === 0 ? 'ws' : 'wss';
		const options = { perMessageDeflate: true, rejectUnauthorized: false };
		const subscriber = await subscribe(t, `${scheme}://127.0.0.1:${await command.port()}/room`, options);
		assert.equal(subscriber.ws.extensions, '');
	}
});

test('a chain that is cut short after its first certificate is refused by the name of its file, not as a wrong key', async (t) => {
	const chain = `${temporaryFolder(t)}/chain.pem`;
	writeFileSync(chain, readFileSync(cert, 'utf8').repeat(2).slice(0, -100));
	const line = `--tls-cert: ${chain} is not a whole chain of certificates in PEM; check that both files are the right ones.`;
	await refuses(t, [...anyPort, '--tls-cert', chain, '--tls-key', key], line);
});
