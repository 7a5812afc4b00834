import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
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

test('a certificate that cannot serve is refused before it listens, in one line', async (t) => {
	const junk = `${temporaryFolder(t)}/junk.pem`;
	writeFileSync(junk, '-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n');
	const check = 'check that both files are the right ones.';
	const cases: [string | undefined, string | undefined, string][] = [
		[cert, undefined, '--tls-key is missing: TLS takes both --tls-cert and --tls-key.'],
		[undefined, key, '--tls-cert is missing: TLS takes both --tls-cert and --tls-key.'],
		['/nonexistent', key, '--tls-cert: /nonexistent cannot be read (ENOENT); check the path and its permissions.'],
		[cert, '/nonexistent', '--tls-key: /nonexistent cannot be read (ENOENT); check the path and its permissions.'],
		[junk, key, `--tls-cert: ${junk} holds no certificate in PEM; ${check}`],
		[key, key, `--tls-cert: ${key} holds no certificate in PEM; ${check}`],
		[cert, junk, `--tls-key: ${junk} holds no private key in PEM without a passphrase; ${check}`],
		[cert, pem('locked.key'), `--tls-key: ${pem('locked.key')} holds no private key in PEM without a passphrase; ${check}`],
		[cert, pem('other.key'), `--tls-key: ${pem('other.key')} is not the key of the certificate in ${cert}; ${check}`],
		[pem('expired.cert'), key, `--tls-cert: ${pem('expired.cert')} expired on Jan  1 00:00:00 2021 GMT; renew it.`],
		[
			pem('future.cert'),
			key,
			`--tls-cert: ${pem('future.cert')} is not valid before Jan  1 00:00:00 2100 GMT; check the certificate and the clock.`,
		],
	];
	for (const [certFile, keyFile, line] of cases) {
		const args = [...(certFile ? ['--tls-cert', certFile] : []), ...(keyFile ? ['--tls-key', keyFile] : [])];
		await refuses(t, [...anyPort, ...args], line);
	}
});
