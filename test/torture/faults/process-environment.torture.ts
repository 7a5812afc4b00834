// A machine that lacks what programs expect: a home, /proc, a disk to write on, the right Node, a sound environment.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { readOptions } from '#src/options/reading.js';
import { optionRows, variableOf } from '#src/options/table.js';
import { anyPort, cliPath, refuses, runProgram } from '../../support/command.js';
import { request } from '../../support/http.js';
import { type Random, seededRandom } from '../../support/random.js';
import { needs } from '../../support/requirement.js';
import { inForm } from '../support/torture.js';
import { accepts } from './support/accepts.js';
import { builtServer } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';
import { needsOwnMounts, ownMounts } from './support/own-mounts.js';

fault(
	'a read-only file system, no /proc, no HOME and no other variable, and / as the folder',
	'The server writes no file and needs none of these: it serves, and answers all endpoints of the operator.',
	async (t) => {
		const line = 'mount -o remount,bind,ro / && mount -t tmpfs -o ro none /proc && cd / && exec env -i "$0" "$@"';
		const args = [...ownMounts, line, process.execPath, cliPath, ...anyPort, '--memory-budget', '4096MiB'];
		const server = await builtServer(runProgram(t, 'unshare', args));
		const bystanders = await startBystanders(t, server);
		const paths = ['/', '/metrics', '/healthz', '/readyz', '/stats', '/channels'];
		for (const path of paths) assert.equal((await request(server.operatorPort, { path })).status, 200, path);
		const innocent = await bystanders.stop();
		server.assertNoErrors();
		await server.stop();
		return `${paths.length} of ${paths.length} endpoints answered 200; ${innocent}; exit code 0`;
	},
	needsOwnMounts(),
);

fault(
	'a process without HOME and PATH, in a folder that is gone, with nonsense in LANG and TZ, and with 100 KB of other variables',
	'Only variables that begin with PATHCAST_ count: it starts, serves, and stops with 0.',
	async (t) => {
		const random = seededRandom(t);
		const junk = Array.from({ length: 100 }, (_, i) => [`JUNK_${i}`, hostileText(random, 1_000)]);
		const other = { ...Object.fromEntries(junk), NOT_PATHCAST_ADDR: 'nowhere', pathcast_addr: 'nowhere' };
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

fault('garbage in every `PATHCAST_` variable', 'A value is taken or refused in one line. Nothing else is thrown.', async (t) => {
	const random = seededRandom(t);
	const counts = { taken: 0, refused: 0 };
	for (const [name] of optionRows) {
		for (let i = 0; i < inForm(200, 5_000); i++) {
			const value = oddText(random);
			counts[accepts(() => readOptions([], { [variableOf(name)]: value }, 'test')) ? 'taken' : 'refused']++;
		}
	}
	assert.ok(counts.refused > 0 && counts.taken > 0);
	return `${optionRows.length} variables: ${counts.taken} values taken, ${counts.refused} refused in one line`;
});

fault(
	'hostile values of every PATHCAST_ variable, and hostile names of such variables',
	'The server does not start: one line without control characters, exit code 1.',
	async (t) => {
		const random = seededRandom(t);
		const variables = optionRows.map(([name]) => variableOf(name));
		// Some values that are odd are good, such as the name of a header field: only these are refused whatever the option is.
		const values = () => [`\u001b[31m\n${hostileText(random, 20)}`, `\n${hostileText(random, 10_000)}`];
		const cases = variables.flatMap((variable) => values().map((value): [string, string] => [variable, value]));
		const names = Array.from({ length: inForm(4, 50) }, (): [string, string] => [`PATHCAST_${hostileText(random, 20)}`, 'x']);
		const count = inForm(8, 2 * cases.length);
		const chosen = [...names, ...Array.from({ length: count }, () => cases[random.below(cases.length)] ?? assert.fail())];
		const line = /^pathcast: [^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_C}]+\n$/u;
		let refused = 0;
		const refuseNext = async () => {
			for (let next = chosen.pop(); next !== undefined; next = chosen.pop()) {
				const [name, value] = next;
				// Without flags, which would beat the environment.
				await refuses(t, [], line, [], { ...process.env, [name]: value });
				refused++;
			}
		};
		await Promise.all(Array.from({ length: 4 }, refuseNext));
		return `${refused} refused with one line`;
	},
);

/** Text that is near to a value of some option. */
function oddText(random: Random): string {
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
	return Array.from({ length: random.below(12) }, () => characters[random.below(characters.length)]).join('');
}

/** Text that a terminal, a parser or a shell could mistake, without NUL and `=`. */
function hostileText(random: Random, length: number): string {
	const characters = [
		'\u001b',
		'\n',
		'\r',
		'\t',
		'\u007f',
		'\u009b',
		'\u2028',
		'\u202e',
		'"',
		"'",
		'\\',
		'$',
		'`',
		'%',
		':',
		'/',
		'🦊',
		'x',
	];
	return Array.from({ length }, () => characters[random.below(characters.length)]).join('');
}

const node26 = process.env.TEST_NODE_26 ?? 'TEST_NODE_26=/path/to/node';

fault(
	'Node 26, for which no installed engine has a build',
	'One line says what to install, or which system and which Node it needs; exit code 1. --help works.',
	async (t) => {
		const { code, stdout, stderr } = await runProgram(t, node26, [cliPath, ...anyPort], process.env, dirname(cliPath)).ended;
		assert.match(stderr, /^pathcast: uWebSockets\.js [^\n]*(install the official release|use Node 20)[^\n]*\n$/);
		assert.deepEqual([code, stdout], [1, '']);
		const help = await runProgram(t, node26, [cliPath, '--help']).ended;
		assert.deepEqual([help.code, help.stderr], [0, '']);
		return 'one line, exit code 1';
	},
	needs('Node 26', node26).skip,
);
