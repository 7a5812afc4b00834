// Which build of the engine serves, and what is said where none does.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadEngine } from '#src/engine.js';
import { whyNoEngine } from '#src/no-engine.js';
import { readProcessReport } from '#src/process-report.js';
import { anyPort, cliPath, refuses, runCommand, runProgram } from '../support/command.js';
import { post } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const require = createRequire(import.meta.url);
const glibc = readProcessReport().header.glibcVersionRuntime ?? '';
const isGlibcNew = Number(glibc.split('.')[1]) >= 38;
/** The file of the build that serves here, by which a stand-in for an official release can load it. */
const nativeFile = isGlibcNew
	? require.resolve('uws-newer')
	: require.resolve(`uws-older/binaries/uws_${process.platform}_${process.arch}_${process.versions.modules}.node`);

/** An installation of pathcast of its own, with an official uWebSockets.js 20.99.0 whose script is given. Gives its cli.js. */
function installedWithOfficial(t: TestContext, script: string): string {
	const folder = temporaryFolder(t);
	cpSync(dirname(cliPath), join(folder, 'dist'), { recursive: true });
	cpSync(join(root, 'package.json'), join(folder, 'package.json'));
	const modules = join(folder, 'node_modules');
	mkdirSync(join(modules, 'uWebSockets.js'), { recursive: true });
	for (const name of readdirSync(join(root, 'node_modules')).filter((entry) => !entry.startsWith('.'))) {
		if (name !== 'uWebSockets.js') symlinkSync(join(root, 'node_modules', name), join(modules, name));
	}
	// As the official package has it: its package.json cannot be resolved from outside.
	const manifest = { name: 'uWebSockets.js', version: '20.99.0', main: 'uws.js', exports: { require: './uws.js' } };
	writeFileSync(join(modules, 'uWebSockets.js/package.json'), JSON.stringify(manifest));
	writeFileSync(join(modules, 'uWebSockets.js/uws.js'), script);
	return join(folder, 'dist/cli.js');
}

test('an official release of uWebSockets.js that is installed serves in place of the builds of the registry', async (t) => {
	const cli = installedWithOfficial(t, `module.exports = require(${JSON.stringify(nativeFile)});`);
	const command = runProgram(t, process.execPath, [cli, ...anyPort]);
	assert.equal((await command.logged('start')).engine, '20.99.0');
	assert.equal((await post(await command.port(), '/', 'x')).status, 200);
	assert.equal(command.stderr, '');
});

test('an official release that does not load is told of in the log, and another build serves', async (t) => {
	const cli = installedWithOfficial(t, "throw new Error('This version of uWS.js supports only another Node');");
	const command = runProgram(t, process.execPath, [cli, ...anyPort]);
	const { version } = loadEngine();
	assert.equal((await command.logged('start')).engine, version);
	const { level, msg } = await command.logged('engine');
	const line = `uWebSockets.js 20.99.0 is installed and does not load on Node ${process.version}; ${version} serves`;
	assert.deepEqual([level, msg], ['warn', line]);
	assert.equal((await post(await command.port(), '/', 'x')).status, 200);
});

test('it tells the version of its engine in the start line and with --version', async (t) => {
	const { version } = loadEngine();
	assert.match(version, isGlibcNew ? /^20\.57\.0$/ : /^20\.30\.0-unofficial\.0$/);
	const command = runCommand(t, anyPort);
	const { engine, msg } = await command.logged('start');
	assert.equal(engine, version);
	assert.match(String(msg), new RegExp(`^pathcast \\S+ on uWebSockets\\.js ${version} listens on `));
	const { stdout } = await runCommand(t, ['--version']).ended;
	assert.match(stdout, new RegExp(`^\\S+ \\(uWebSockets\\.js ${version}, Node ${process.version}\\)\n$`));
});

const node26 = process.env.TEST_NODE_26 ?? 'TEST_NODE_26=/path/to/node';
const useOfficial =
	/^pathcast: uWebSockets\.js 20\.57\.0 and 20\.30\.0-unofficial\.0 have no build for Node v26\S*: install the official release, which has one: npm install uWebSockets\.js@github:uNetworking\/uWebSockets\.js#v20\.67\.0\n$/;
const useNewerSystem =
	/^pathcast: uWebSockets\.js for Node v26\S* needs glibc 2\.38, and this system has glibc 2\.\d+: use Node 20, for which an older build is installed, or a newer system, such as Debian 13, Ubuntu 24\.04, or the image node:24-trixie-slim, with Node 20, 22 or 24\.\n$/;

test('on Node 26 it says in one line what to install, or first which system it needs', needs('Node 26', node26), async (t) => {
	const { code, stdout, stderr } = await runProgram(t, node26, [cliPath, ...anyPort]).ended;
	assert.match(stderr, isGlibcNew ? useOfficial : useNewerSystem);
	assert.deepEqual([code, stdout], [1, '']);
	const shown = await runProgram(t, node26, [cliPath, '--version']).ended;
	assert.match(shown.stdout, /^\S+ \(no engine loads here, Node v26\S*\)\n$/);
	assert.equal(shown.code, 0);
});

/** What makes a process take itself for one on another system. */
const pretending = (change: string) => ['--import', `data:text/javascript,${encodeURIComponent(change)}`];
const unknownNode = `
	Object.defineProperty(process, 'version', { value: 'v26.0.0' });
	Object.defineProperty(process, 'versions', { value: { ...process.versions, modules: '999' } });`;
const withoutBuilds = `${unknownNode}
	import Module from 'node:module';
	const resolve = Module._resolveFilename;
	Module._resolveFilename = (name, ...rest) => {
		if (name === 'uws-newer') throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' });
		return resolve(name, ...rest);
	};`;

test('where no build loads it refuses to start with one line, but shows its help', async (t) => {
	await refuses(t, anyPort, isGlibcNew ? useOfficialWithoutNewer : useNewerSystem, pretending(withoutBuilds));
	const help = await runCommand(t, ['--help'], pretending(withoutBuilds)).ended;
	assert.deepEqual([help.code, help.stderr], [0, '']);
	const musl = `${withoutBuilds} process.report.getReport = () => ({ header: {}, userLimits: {} });`;
	const line =
		/^pathcast: uWebSockets\.js has no build for musl, the C library of Alpine: use a system with glibc 2\.38 or newer/;
	await refuses(t, anyPort, line, pretending(musl));
});
const useOfficialWithoutNewer =
	/^pathcast: uWebSockets\.js 20\.30\.0-unofficial\.0 has no build for Node v26\.0\.0: install the official release/;

test('the reason why no build loads is the real one, and its remedy fits', () => {
	const system = { platform: 'linux', arch: 'x64', nodeVersion: 'v22.1.0', glibc: '2.41' };
	const absent = { version: '20.57.0', error: "Error: Cannot find module './uws_linux_x64_131.node'\nRequire stack:\n- /x" };
	const cases: [Partial<typeof system> | { glibc: undefined }, string | undefined, RegExp][] = [
		[
			{ nodeVersion: 'v23.0.0' },
			undefined,
			/^uWebSockets\.js 20\.57\.0 has no build for Node v23\.0\.0: use Node 20, 22 or 24\.$/,
		],
		[{ nodeVersion: 'v26.0.0' }, undefined, /has no build for Node v26\.0\.0: install the official release.*#v20\.67\.0$/],
		[{ glibc: '2.36' }, undefined, /needs glibc 2\.38, and this system has glibc 2\.36: use Node 20/],
		[
			{ glibc: '2.36', nodeVersion: 'v26.0.0' },
			undefined,
			/for Node v26\.0\.0 needs glibc 2\.38, and this system has glibc 2\.36/,
		],
		[{ glibc: '2.38' }, undefined, /has no build for Node v22\.1\.0: use Node 20, 22 or 24\.$/],
		[
			{ glibc: undefined },
			'Error loading shared library ld-linux-x86-64.so.2',
			/no build for musl, the C library of Alpine: use/,
		],
		[{ arch: 'riscv64' }, undefined, /no build for linux riscv64: use Linux or macOS, on x64 or arm64\.$/],
		[{ platform: 'freebsd', glibc: undefined }, undefined, /no build for freebsd x64: use Linux or macOS/],
		[{ platform: 'darwin', glibc: undefined }, undefined, /has no build for Node v22\.1\.0: use/],
		[
			{},
			'Error: build failed:\n/x/uws.node: file too short',
			/20\.57\.0 does not load \(\/x\/uws\.node: file too short\): install/,
		],
	];
	for (const [differing, error, line] of cases) {
		const why = whyNoEngine({ ...system, ...differing }, [error === undefined ? absent : { ...absent, error }]);
		assert.match(why, line);
		assert.doesNotMatch(why, /\n/);
	}
	assert.equal(whyNoEngine(system, []), 'uWebSockets.js is not installed: run npm ci, or install pathcast again.');
});
