// The package as its users get it: packed, installed into an empty folder, and started.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { anyPort, runProgram } from '../support/command.js';
import { post, request } from '../support/http.js';
import { lacksRegistry, npmEnvironment, runNpm, runNpx } from '../support/npm.js';
import { temporaryFolder } from '../support/temporary-folder.js';

type Locked = {
	readonly version: string;
	readonly integrity?: string;
	readonly dev?: boolean;
	readonly hasInstallScript?: boolean;
};
type Installed = { readonly version?: string; readonly dependencies?: Readonly<Record<string, Installed>> };

const root = fileURLToPath(new URL('../../../', import.meta.url));
const readJson = (file: string) => JSON.parse(readFileSync(join(root, file), 'utf8'));
const { version, dependencies, allowScripts } = readJson('package.json') as {
	version: string;
	dependencies: Record<string, string>;
	allowScripts: Record<string, boolean>;
};
const { '': _, ...locked } = readJson('package-lock.json').packages as Record<string, Locked>;

/** The first versions without a known vulnerability, of packages that were vulnerable. */
const fixedIn = new Map([
	['ws', '8.17.1'],
	['minimist', '1.2.6'],
]);
const { compare } = new Intl.Collator('en', { numeric: true });

/** Packs what pretest has built: prepack would remove dist while other tests run it. Gives the tarball and its files. */
async function pack(t: TestContext, env: NodeJS.ProcessEnv, folder: string): Promise<{ tarball: string; files: string[] }> {
	const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
	const { code, stdout, stderr } = await runNpm(t, args, env, root);
	assert.deepEqual([code, warnings(stderr)], [0, []]);
	// An array up to npm 11, an object with the package's name as its key from npm 12 on.
	const [packed] = Object.values(JSON.parse(stdout)) as { filename: string; files: { path: string }[] }[];
	assert.ok(packed);
	return { tarball: join(folder, packed.filename), files: packed.files.map(({ path }) => path) };
}

function warnings(output: string): string[] {
	return output.split('\n').filter((line) => /\b(warn|deprecated|EBADENGINE)\b|[1-9]\d* .*vulnerabilit/i.test(line));
}

/** Every package of a tree, as name@version, once. */
function packagesOf(tree: Installed): Set<string> {
	// Without a version npm lists an optional peer that is not installed: the official release of the engine.
	const present = Object.entries(tree.dependencies ?? {}).filter(([, { version }]) => version !== undefined);
	const found = present.flatMap(([name, installed]) => [`${name}@${installed.version}`, ...packagesOf(installed)]);
	return new Set(found);
}

const nameOf = (nameAndVersion: string) => nameAndVersion.slice(0, nameAndVersion.lastIndexOf('@'));
const nameAt = (path: string) => path.replace(/^.*node_modules\//, '');
const namesOf = (packages: Iterable<string>) => [...new Set([...packages].map(nameOf))].sort();

function assertFixed(nameAndVersion: string): void {
	const name = nameOf(nameAndVersion);
	const fixed = fixedIn.get(name);
	assert.ok(fixed === undefined || compare(nameAndVersion, `${name}@${fixed}`) >= 0, `${nameAndVersion} is vulnerable`);
}

test('the package holds the built command, its page and the older engine, and nothing else', async (t) => {
	const folder = temporaryFolder(t);
	const { files } = await pack(t, await npmEnvironment(t, folder), folder);
	const built = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
		.filter((file) => file.endsWith('.ts') && !/^(page\/|build-)/.test(file))
		.map((file) => `dist/${file.replace(/ts$/, 'js')}`);
	const older = ['LICENSE', 'package.json', 'uws_linux_arm64_115.node', 'uws_linux_x64_115.node'];
	const others = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', 'dist/page/document.json'];
	assert.deepEqual(files.sort(), [...built, ...older.map((file) => `dist/uws-older/${file}`), ...others].sort());
	for (const binary of older.filter((file) => file.endsWith('.node'))) {
		const [ours, theirs] = [`dist/uws-older/${binary}`, `node_modules/uws-older/binaries/${binary}`];
		assert.ok(readFileSync(join(root, ours)).equals(readFileSync(join(root, theirs))), `${ours} is not as it was published`);
	}
});

test('the lock file pins every package by its hash, both engines included', () => {
	for (const [path, { integrity }] of Object.entries(locked)) assert.match(integrity ?? '', /^sha512-/, path);
	assert.ok('node_modules/uws-newer' in locked && 'node_modules/uws-older' in locked);
});

// "overrides" and "allowScripts" in package.json are for what the older engine's package brings and pathcast never loads: a
// vulnerable ws, 8.13.0, and bufferutil and utf-8-validate, which run a script. Only a checkout has them: users get the binaries.
test('no package of a checkout is known to be vulnerable, and none runs a script when it is installed', () => {
	const withScripts = Object.keys(locked).filter((path) => locked[path]?.hasInstallScript);
	const refused = Object.entries(allowScripts).filter(([, isAllowed]) => !isAllowed);
	assert.deepEqual(withScripts.map(nameAt).sort(), refused.map(([name]) => name).sort());
	for (const path of withScripts) assert.ok(locked[path]?.dev, `${path} is installed for users too`);
	for (const [path, { version }] of Object.entries(locked)) assertFixed(`${nameAt(path)}@${version}`);
});

test('it installs without a warning and without a vulnerable package, and npx starts it', { timeout: 240_000 }, async (t) => {
	const folder = temporaryFolder(t);
	const env = await npmEnvironment(t, folder);
	const reason = await lacksRegistry(t, env);
	if (reason !== false) return t.skip(reason);
	const { tarball } = await pack(t, env, folder);
	const user = join(folder, 'user');
	mkdirSync(user);

	const { code, stdout, stderr } = await runNpm(t, ['install', tarball], env, user);
	assert.deepEqual([code, warnings(stdout), warnings(stderr)], [0, [], []]);

	const listed = await runNpm(t, ['ls', '--all', '--json'], env, user);
	assert.equal(listed.code, 0, listed.stdout);
	const installed = packagesOf(JSON.parse(listed.stdout));
	const expected = Object.entries(locked)
		.filter(([, { dev }]) => dev !== true)
		.map(([path, entry]) => `${nameAt(path)}@${entry.version}`);
	assert.deepEqual(namesOf(installed), namesOf([`pathcast@${version}`, ...expected]));
	for (const name of Object.keys(dependencies)) {
		const [wanted] = expected.filter((candidate) => nameOf(candidate) === name);
		assert.ok(installed.has(String(wanted)), `${wanted} is not installed`);
	}
	for (const found of installed) assertFixed(found);
	// The dependencies allow ranges of versions, so that a new release on the registry changes what npm installs.
	const newer = [...installed].filter((found) => nameOf(found) !== 'pathcast' && !expected.includes(found));
	if (newer.length > 0) t.diagnostic(`not the version of the lock file: ${newer.join(', ')}`);

	const byNpx = runNpx(t, ['pathcast', ...anyPort], env, user);
	assert.equal((await byNpx.logged('start')).version, version);
	const answer = await post(await byNpx.port(), '/room/1', 'hello');
	assert.deepEqual([answer.status, answer.body], [200, 'OK\n']);
	// Not by a signal: npx passes SIGTERM to its shell only, and the server may outlive both.
	assert.equal((await request(await byNpx.operatorPort(), { method: 'POST', path: '/drain' })).status, 202);
	assert.equal((await byNpx.ended).code, 0);
	assert.deepEqual(warnings(byNpx.stderr), []);

	const command = runProgram(t, join(user, 'node_modules/.bin/pathcast'), anyPort, env);
	assert.equal((await post(await command.port(), '/', 'x')).status, 200);
	command.child.kill('SIGTERM');
	const ended = await command.ended;
	assert.deepEqual([ended.code, ended.stderr], [0, '']);
});
