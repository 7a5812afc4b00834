// Certificates and keys that cannot serve, and those that are replaced while they do.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { checkTls } from '#src/listening/tls.js';
import { anyPort, refuses, runCommand } from '../../support/command.js';
import { pem } from '../../support/pem.js';
import { seededRandom } from '../../support/random.js';
import { subscribe } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm } from '../support/torture.js';
import { accepts } from './support/accepts.js';
import { startBuilt } from './support/built-server.js';
import { fault, faultsAtOnce } from './support/fault.js';

const cert = pem('valid.cert');
const key = pem('valid.key');
const check = 'check that both files are the right ones.';
const noCertificate = (file: string) => `--tls-cert: ${file} holds no certificate in PEM; ${check}`;
const noChain = (file: string) => `--tls-cert: ${file} is not a whole chain of certificates in PEM; ${check}`;
const noKey = (file: string) => `--tls-key: ${file} holds no private key in PEM without a passphrase; ${check}`;

/** When the certificate that a server on that port shows ends. */
async function endOfShown(port: number): Promise<string> {
	const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
	await once(socket, 'secureConnect');
	const { valid_to } = socket.getPeerCertificate();
	socket.destroy();
	return valid_to;
}

faultsAtOnce('certificates and keys', () => {
	fault(
		'certificates and keys that are missing, unreadable, junk, in DER, locked, of another pair, expired, or not valid yet',
		'The server does not start: one line that names the file and the remedy, exit code 1.',
		async (t) => {
			const folder = temporaryFolder(t);
			const made = (name: string, bytes: string | Buffer) => {
				writeFileSync(`${folder}/${name}`, bytes);
				return `${folder}/${name}`;
			};
			const junk = made('junk.pem', '-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n');
			const empty = made('empty.pem', '');
			const inDer = made('der.pem', new X509Certificate(readFileSync(cert)).raw);
			const cases: [string | undefined, string | undefined, string][] = [
				[cert, undefined, '--tls-key is missing: TLS takes both --tls-cert and --tls-key.'],
				[undefined, key, '--tls-cert is missing: TLS takes both --tls-cert and --tls-key.'],
				['/nonexistent', key, '--tls-cert: /nonexistent cannot be read (ENOENT); check the path and its permissions.'],
				[cert, '/nonexistent', '--tls-key: /nonexistent cannot be read (ENOENT); check the path and its permissions.'],
				[folder, key, `--tls-cert: ${folder} cannot be read (EISDIR); check the path and its permissions.`],
				...[junk, empty, key].map((file) => [file, key, noCertificate(file)] as [string, string, string]),
				[inDer, key, noChain(inDer)],
				...[junk, empty, inDer, cert, pem('locked.key')].map((file) => [cert, file, noKey(file)] as [string, string, string]),
				[cert, pem('other.key'), `--tls-key: ${pem('other.key')} is not the key of the certificate in ${cert}; ${check}`],
				[pem('expired.cert'), key, `--tls-cert: ${pem('expired.cert')} expired on Jan  1 00:00:00 2021 GMT; renew it.`],
				[
					pem('future.cert'),
					key,
					`--tls-cert: ${pem('future.cert')} is not valid before Jan  1 00:00:00 2100 GMT; check the certificate and the clock.`,
				],
			];
			const flagsOf = (certFile?: string, keyFile?: string) => [
				...(certFile ? ['--tls-cert', certFile] : []),
				...(keyFile ? ['--tls-key', keyFile] : []),
			];
			await Promise.all(cases.map(([certFile, keyFile, line]) => refuses(t, [...anyPort, ...flagsOf(certFile, keyFile)], line)));
			return `${cases.length} of ${cases.length} refused`;
		},
	);

	fault(
		'certificates, keys, and the second certificate of a chain that are cut short at random, or have a changed byte; a megabyte of letters',
		'They serve as they are, or the start is refused in one line that names the file.',
		async (t) => {
			const random = seededRandom(t);
			const folder = temporaryFolder(t);
			const [certPem, keyPem] = [readFileSync(cert), readFileSync(key)];
			const counts = { served: 0, refused: 0 };
			const [certFile, keyFile] = [`${folder}/cert.pem`, `${folder}/key.pem`];
			const flags = ['--tls-cert', certFile, '--tls-key', keyFile];
			/** The bytes cut short, or with one byte changed. */
			const spoil = (whole: Buffer) => {
				const bytes = Buffer.from(whole);
				if (random.below(2) === 0) return bytes.subarray(0, random.below(bytes.length));
				bytes[random.below(bytes.length)] = random.below(256);
				return bytes;
			};
			const spoilt = [
				() => [spoil(certPem), keyPem],
				() => [certPem, spoil(keyPem)],
				() => [Buffer.concat([certPem, spoil(certPem)]), keyPem],
				() => [Buffer.alloc(1_000_000, 0x41), keyPem],
			] as const;
			const processes = inForm(8, 40);
			for (let i = 0; i < inForm(300, 3_000); i++) {
				const [certBytes, keyBytes] = (spoilt[i % spoilt.length] ?? assert.fail())() as [Buffer, Buffer];
				writeFileSync(certFile, certBytes);
				writeFileSync(keyFile, keyBytes);
				const served = accepts(() => checkTls({ cert: certFile, key: keyFile }));
				counts[served ? 'served' : 'refused']++;
				if (i >= processes) continue;
				// The engine has a parser of its own: what passes the check may still be refused, in one line.
				const server = served ? await startBuilt(t, flags).catch(() => undefined) : undefined;
				if (server !== undefined) await server.stop();
				else await refuses(t, [...anyPort, ...flags], /^pathcast: --tls-(cert|key): /);
			}
			return `${counts.refused} pairs refused, ${counts.served} good enough to serve; ${processes} of them tried with a process`;
		},
	);

	fault(
		'a certificate and key that are replaced while the server runs: by an expired one, by junk, by nothing',
		'The server shows the one that it started with until it is restarted; a restart with a bad one is refused with one line.',
		async (t) => {
			const folder = `${temporaryFolder(t)}/tls`;
			mkdirSync(folder);
			const [certFile, keyFile] = [`${folder}/cert.pem`, `${folder}/key.pem`];
			copyFileSync(cert, certFile);
			copyFileSync(key, keyFile);
			const flags = [...anyPort, '--tls-cert', certFile, '--tls-key', keyFile];
			const command = runCommand(t, flags);
			const port = await command.port();
			const subscriber = await subscribe(t, `wss://127.0.0.1:${port}/room`, { rejectUnauthorized: false });
			const expected = new X509Certificate(readFileSync(cert)).validTo;
			const replacements: [Buffer, RegExp][] = [
				[readFileSync(pem('expired.cert')), /expired on/],
				[Buffer.from('junk'), /holds no certificate in PEM/],
				[Buffer.alloc(0), /holds no certificate in PEM/],
			];
			for (const [bytes, line] of replacements) {
				writeFileSync(certFile, bytes);
				command.child.kill('SIGHUP');
				assert.equal(await endOfShown(port), expected);
				await refuses(t, flags, line);
				const another = await subscribe(t, `wss://127.0.0.1:${port}/room`, { rejectUnauthorized: false });
				another.send('still');
				assert.equal(await subscriber.nextText(), 'still');
			}
			command.child.kill('SIGTERM');
			assert.deepEqual([(await command.ended).code, command.stderr], [0, '']);
			copyFileSync(cert, certFile);
			assert.equal(await endOfShown(await runCommand(t, flags).port()), expected);
			return `${replacements.length} times replaced: the first one served on, ${replacements.length} restarts were refused; with the right one it started`;
		},
	);
});
