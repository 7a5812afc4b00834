// The machine around the server is hostile: variables, files and folders, certificates.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe } from 'node:test';
import { checkTls } from '#src/listening/tls.js';
import { readOptions } from '#src/options/reading.js';
import { type OptionName, optionTable, variableOf } from '#src/options/table.js';
import { StartError } from '#src/start-error.js';
import { anyPort, cliPath, refuses, runProgram } from '../../support/command.js';
import { pem } from '../../support/pem.js';
import { type Random, seededRandom } from '../../support/random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm } from '../support/torture.js';
import { builtServer, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

/** Whether the server would start; otherwise it must say why in one line. */
function accepts(start: () => unknown): boolean {
	try {
		start();
		return true;
	} catch (error) {
		assert.ok(error instanceof StartError, String(error));
		assert.match(error.message, /^[^\n]+$/);
		return false;
	}
}

const characters = [
	'0',
	'1',
	'9',
	'-',
	'.',
	':',
	'/',
	',',
	' ',
	'%',
	'\u0000',
	'\n',
	'é',
	'🎉',
	'K',
	'MiB',
	's',
	'h',
	'[',
	'x',
	'http://',
	'*',
];
function garbage(random: Random): string {
	return Array.from({ length: random.below(12) }, () => characters[random.below(characters.length)]).join('');
}

describe('the host', { concurrency: 3 }, () => {
	fault(
		'Garbage in every `PATHCAST_` variable',
		'A value is taken or refused in one line. Nothing else is thrown.',
		async (t) => {
			const random = seededRandom(t);
			const counts = { taken: 0, refused: 0 };
			for (const name of Object.keys(optionTable) as OptionName[]) {
				for (let i = 0; i < inForm(200, 5_000); i++) {
					const value = garbage(random);
					counts[accepts(() => readOptions([], { [variableOf(name)]: value }, 'test')) ? 'taken' : 'refused']++;
				}
			}
			assert.ok(counts.refused > 0 && counts.taken > 0);
			return `${Object.keys(optionTable).length} variables: ${counts.taken} values taken, ${counts.refused} refused in one line`;
		},
	);

	fault(
		'A process without HOME and PATH, in a folder that is gone, with nonsense in LANG and TZ, and with 100 KB of other variables',
		'It starts, serves, and stops with 0.',
		async (t) => {
			const other = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`OTHER_${i}`, 'x'.repeat(100)]));
			const folder = mkdtempSync(`${tmpdir()}/pathcast-gone-`);
			const script = 'rmdir "$PWD" && exec "$0" "$@"';
			const args = ['-c', script, process.execPath, cliPath, ...anyPort, '--drain', '0s'];
			const env = { ...other, LANG: 'xx_XX.nonsense', LC_ALL: '\ufffd', TZ: 'Nowhere/At_All' };
			t.after(() => rmSync(folder, { recursive: true, force: true }));
			// Without a PATH, the shell still finds rmdir in its own list of folders.
			const server = await builtServer(runProgram(t, '/bin/sh', args, env, folder));
			const innocent = await (await startBystanders(t, server)).stop();
			server.assertNoErrors();
			await server.stop();
			return `${Object.keys(other).length} variables; ${innocent}; it stopped with 0`;
		},
	);

	fault(
		'`--log` in a folder that is missing, read-only, or no folder; a loop of links; a name that is too long; a folder itself',
		'One line that names the file and the remedy, and exit code 1.',
		async (t) => {
			const folder = temporaryFolder(t);
			writeFileSync(`${folder}/file`, '');
			mkdirSync(`${folder}/folder`);
			symlinkSync(`${folder}/loop`, `${folder}/loop`);
			const files: Record<string, string> = {
				[`${folder}/missing/x.log`]: 'ENOENT',
				'/sys/pathcast.log': 'EACCES|EROFS|EPERM',
				[`${folder}/file/x.log`]: 'ENOTDIR',
				[`${folder}/loop`]: 'ELOOP',
				[`${folder}/${'x'.repeat(300)}`]: 'ENAMETOOLONG',
				[`${folder}/folder`]: 'EISDIR',
			};
			await Promise.all(
				Object.entries(files).map(([file, code]) =>
					refuses(
						t,
						[...anyPort, '--log', file],
						new RegExp(
							`^pathcast: --log: ${file} cannot be written \\((${code})\\); (create its directory|check its path and permissions), or`,
						),
					),
				),
			);
			return `${Object.keys(files).length} starts refused in one line, with 1`;
		},
	);

	fault(
		'Certificates and keys cut short at random, with changed bytes, empty, in DER, or a folder',
		'They serve as they are, or the start is refused in one line that names the file.',
		async (t) => {
			const random = seededRandom(t);
			const folder = temporaryFolder(t);
			const [cert, key] = ['valid.cert', 'valid.key'].map((name) => readFileSync(pem(name))) as [Buffer, Buffer];
			const counts = { served: 0, refused: 0 };
			const [certFile, keyFile] = [`${folder}/cert.pem`, `${folder}/key.pem`];
			const flags = ['--tls-cert', certFile, '--tls-key', keyFile];
			const der = Buffer.from(cert.toString().replace(/-----[^-]+-----|\s/g, ''), 'base64');
			const odd = [Buffer.alloc(0), der, Buffer.alloc(1_000_000, 0x41), cert.subarray(0, -200)];
			let processes = 0;
			for (let i = 0; i < inForm(300, 3_000); i++) {
				const changed = Buffer.from(i % 2 === 0 ? cert : key);
				const bytes = odd[i] ?? (random.below(2) === 0 ? changed.subarray(0, random.below(changed.length)) : changed);
				if (bytes === changed) changed[random.below(changed.length)] = random.below(256);
				writeFileSync(certFile, i % 2 === 0 ? bytes : cert);
				writeFileSync(keyFile, i % 2 === 0 ? key : bytes);
				const served = accepts(() => checkTls({ cert: certFile, key: keyFile }));
				counts[served ? 'served' : 'refused']++;
				// The engine has a parser of its own: what passes the check must serve, or be refused by one line too.
				if (i >= inForm(8, 100)) continue;
				processes++;
				if (served) await (await startBuilt(t, flags)).stop();
				else await refuses(t, [...anyPort, ...flags], /^pathcast: --tls-(cert|key): /);
			}
			await refuses(t, [...anyPort, '--tls-cert', folder, '--tls-key', keyFile], /--tls-cert: .* cannot be read \(EISDIR\)/);
			return `${counts.refused} pairs refused, ${counts.served} good enough to serve; ${processes + 1} of them tried with a process`;
		},
	);
});
