// The logrotate snippet, by the real logrotate, against a running pathcast. In systemd's place, its reload runs the unit's ExecReload.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { post, RawConnection } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { commandLine, readUnit, setting } from '../support/unit-file.js';

const run = promisify(execFile);
const logrotate = '/usr/sbin/logrotate';
const deploy = fileURLToPath(new URL('../../../deploy/', import.meta.url));

/** The snippet with this folder in place of /var/log/pathcast, and a way to run it. */
function rotation(t: TestContext, folder: string, pid: () => number): () => Promise<void> {
	const { uid, gid } = userInfo();
	// Where we are root, the folder belongs to somebody else, as pathcast's own does.
	const owner = uid === 0 ? 65_534 : uid;
	const group = uid === 0 ? 65_534 : gid;
	chownSync(folder, owner, group);
	const own = temporaryFolder(t);
	const snippet = readFileSync(`${deploy}logrotate/pathcast`, 'utf8');
	assert.match(snippet, /^\tsu pathcast pathcast$/m);
	const config = snippet.replaceAll('/var/log/pathcast/', `${folder}/`).replace('su pathcast pathcast', `su ${owner} ${group}`);
	writeFileSync(`${own}/config`, config, { mode: 0o644 });
	return async () => {
		const reload = commandLine(setting(readUnit(`${deploy}systemd/pathcast@.service`), 'ExecReload'), '8081', {
			MAINPID: String(pid()),
		});
		writeFileSync(
			`${own}/systemctl`,
			`#!/bin/sh\ntest "$*" = "try-reload-or-restart pathcast@*.service" && exec ${reload.join(' ')}\n`,
		);
		chmodSync(`${own}/systemctl`, 0o755);
		const env = { ...process.env, PATH: `${own}:${process.env.PATH}` };
		const { stderr } = await run(logrotate, ['--force', '--state', `${own}/state`, `${own}/config`], { env });
		assert.equal(stderr, '');
	};
}

test(
	'rotated three times by logrotate while it writes, the log loses no line and has none twice',
	needs('logrotate', logrotate),
	async (t) => {
		const folder = temporaryFolder(t);
		const port = await freePort();
		const log = `${folder}/8081.log`;
		const command = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off', '--log', log, '--log-level', 'debug']);
		await command.wroteTo(log, /listens on/);
		const rotate = rotation(t, folder, () => command.child.pid ?? 0);

		// Each publish is a line with its path.
		let sent = 0;
		let isWriting = true;
		const writing = (async () => {
			const connection = new RawConnection(port);
			while (isWriting) {
				await connection.write(`POST /${sent++} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`);
				assert.equal((await connection.answer()).status, 200);
			}
			connection.end();
		})();
		const sentAt: number[] = [];
		for (let nth = 0; nth < 3; nth++) {
			sentAt.push(sent);
			await rotate();
			await command.wroteTo(log, /opened again/);
		}
		isWriting = false;
		await writing;
		assert.equal((await post(port, '/last', 'x')).status, 200);
		command.child.kill('SIGTERM');
		assert.deepEqual((await command.ended).code, 0);

		assert.deepEqual(readdirSync(folder).sort(), ['8081.log', '8081.log.1', '8081.log.2.gz', '8081.log.3.gz']);
		const all = ['.3.gz', '.2.gz', '.1', ''].map((suffix) => {
			const bytes = readFileSync(`${log}${suffix}`);
			return suffix.endsWith('.gz') ? gunzipSync(bytes).toString() : bytes.toString();
		});
		const lines = all.flatMap((text) => text.trim().split('\n')).map((line) => JSON.parse(line));
		const published = lines.filter(({ event }) => event === 'publish').map(({ path }) => path);
		assert.deepEqual(published, [...Array.from({ length: sent }, (_, i) => `/${i}`), '/last']);
		assert.ok(new Set(sentAt).size === 3, `it wrote between the rotations: ${sentAt}`);
		assert.equal(lines.filter(({ event }) => event === 'reopen').length, 3);
		assert.match(all[3] ?? '', /"path":"\/last"/, 'it writes to the new file');
	},
);

test(
	'where nobody logs to a file, logrotate has nothing to do and no fault to find',
	needs('logrotate', logrotate),
	async (t) => {
		const folder = temporaryFolder(t);
		await rotation(t, folder, () => 0)();
		assert.deepEqual(readdirSync(folder), []);
	},
);
