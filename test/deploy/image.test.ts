// The image, built and started by the steps of the Dockerfile and of compose.yaml in a Debian 13, for lack of a container engine.
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readOptions } from '#src/options/reading.js';
import { post, request } from '../support/http.js';
import { lacksRegistry, npmEnvironment } from '../support/npm.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { HttpsClient, subscribeOver } from './support/clients.js';
import { startNginxOf, startPathcastOf } from './support/compose.js';
import { processOf, startContainer, succeedUpon } from './support/container.js';
import { readDockerfile, readIgnored } from './support/dockerfile.js';
import { buildImage, type Image, lastStage, needsDebian13, stages } from './support/image.js';

type Locked = { readonly version: string; readonly dev?: boolean };

const root = fileURLToPath(new URL('../../../', import.meta.url));
const { '': _, ...locked } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages as Record<string, Locked>;
const engineVersion = locked['node_modules/uws-newer']?.version;

/** The settings of npm that lead to the registry: all else is as in the image that the Dockerfile begins with. */
async function registrySettings(t: TestContext): Promise<Record<string, string>> {
	const env = await npmEnvironment(t, temporaryFolder(t));
	return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith('npm_config_'))) as Record<string, string>;
}

test('the image runs the built command itself, as a user other than root, and listens on the port that it exposes', () => {
	for (const { base } of stages) assert.equal(base, 'node:24-trixie-slim');
	const image = lastStage();
	assert.deepEqual(image.command, ['node', '/opt/pathcast/dist/cli.js']);
	assert.match(image.user, /^[1-9][0-9]*:[1-9][0-9]*$/);
	const options = readOptions([], image.env, 'test');
	assert.ok(!('text' in options) && options.mport !== 'off');
	assert.deepEqual([options.addr, options.mport.host], [{ host: '', port: 8081 }, '127.0.0.1']);
	assert.deepEqual(image.ports, [8081]);
});

test('the image is built, and its server runs without rights, alone and behind nginx', {
	...needsDebian13(),
	timeout: 120_000,
}, async (t) => {
	const settings = await registrySettings(t);
	const reason = await lacksRegistry(t, { ...process.env, ...settings });
	if (reason !== false) return t.skip(reason);
	const image = await buildImage(t, settings);

	await t.test(
		'it holds the package, its dependencies, and one binary of the engine, in the size that docs/operating.md states',
		() => {
			holdsWhatItNeeds(image);
		},
	);
	await t.test('it serves page, websockets and POST as the user of the Dockerfile, and ends with 0 on SIGTERM', (t) =>
		servesAlone(t, image),
	);
	await t.test('its user can write to none of its files', (t) => cannotBeWritten(t, image));
	await t.test('as compose.yaml starts it, it is healthy, and nginx serves it over TLS', (t) => servesBehindNginx(t, image));
});

test('a step of the Dockerfile that its reader does not know is an error', () => {
	for (const line of [
		'ADD a b',
		'ENTRYPOINT node cli.js',
		'RUN ["npm"]',
		'USER node',
		'COPY --chown=1:1 a b',
		'COPY a',
		'ENV A B',
	]) {
		assert.throws(() => readDockerfile(`FROM a\n${line}\n`), Error, line);
	}
	assert.throws(() => readDockerfile('USER 1:1\n'));
	assert.throws(() => readIgnored('a/b\n'));
	const isIgnored = readIgnored('*\n!src\n');
	assert.deepEqual([isIgnored('src/a/b'), isIgnored('.git/config'), isIgnored('src2')], [false, true, true]);
});

function holdsWhatItNeeds({ layers: [, layer] }: Image): void {
	assert.ok(layer);
	const files = readdirSync(layer.files, { recursive: true, encoding: 'utf8' });
	const outside = files.filter((file) => !/^opt(\/pathcast)?$/.test(file) && !file.startsWith('opt/pathcast/'));
	assert.deepEqual(outside, []);
	const folder = join(layer.files, 'opt/pathcast');
	assert.deepEqual(readdirSync(folder).sort(), ['LICENSE', 'dist', 'node_modules', 'package.json']);

	const packages = files.flatMap(
		(file) => /^opt\/pathcast\/(.*node_modules\/(?:@[^/]+\/)?[^/]+)\/package\.json$/.exec(file)?.[1] ?? [],
	);
	const expected = Object.entries(locked).filter(([, { dev }]) => dev !== true);
	assert.deepEqual(packages.sort(), expected.map(([path]) => path).sort());
	const binaries = files.filter((file) => file.endsWith('.node'));
	const { platform, arch, versions } = process;
	assert.deepEqual(binaries, [`opt/pathcast/node_modules/uws-newer/uws_${platform}_${arch}_${versions.modules}.node`]);

	const guide = readFileSync(join(root, 'docs/operating.md'), 'utf8');
	const [, stated] = /adds ([0-9]+) MB to its base/.exec(guide) ?? [];
	const stats = files.map((file) => lstatSync(join(layer.files, file)));
	const megabytes = stats.filter((stat) => stat.isFile()).reduce((sum, { size }) => sum + size, 0) / 1_000_000;
	// The binary of another platform differs by some hundred KB.
	assert.ok(Math.abs(megabytes - Number(stated)) < 1, `${megabytes} MB`);
}

async function servesAlone(t: TestContext, { stage, layers, newLayer }: Image): Promise<void> {
	const { command, env, folder, user } = stage;
	const anyPort = { ...env, PATHCAST_ADDR: '127.0.0.1:0', PATHCAST_MPORT: '0' };
	// Flags follow the name of the image: `docker run pathcast --max-message 8`.
	const args = ['--max-message', '8'];
	const container = startContainer(t, layers, newLayer, { command: [...command, ...args], env: anyPort, folder, user });
	assert.equal((await container.logged('start')).engine, engineVersion);

	const status = readFileSync(`/proc/${processOf(container)}/status`, 'utf8');
	const [uid, gid] = user.split(':');
	assert.ok(Number(uid) > 0);
	assert.match(status, new RegExp(`^Uid:(\\t${uid}){4}\\nGid:(\\t${gid}){4}\\n`, 'm'));
	assert.match(status, /^NSpid:.*\t1$/m);

	const port = await container.port();
	assert.match((await request(port, { path: '/room' })).body, /<!doctype html>/i);
	const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room`);
	assert.equal((await post(port, '/room', 'by POST')).headers.get('x-subscribers'), '1');
	subscriber.send('by ws');
	assert.deepEqual(await subscriber.texts(2), ['by POST', 'by ws']);
	assert.equal((await post(port, '/room', 'too long.')).status, 413);

	process.kill(processOf(container), 'SIGTERM');
	assert.equal((await subscriber.closed).code, 1012);
	const { code, stderr } = await container.ended;
	assert.deepEqual([code, stderr], [0, '']);
}

async function cannotBeWritten(t: TestContext, { stage, layers, newLayer }: Image): Promise<void> {
	const command = ['find', '/opt/pathcast', '-not', '-type', 'l', '-writable'];
	const found = await startContainer(t, layers, newLayer, { command, user: stage.user }).ended;
	assert.deepEqual(found, { code: 0, signal: null, stdout: '', stderr: '' });
}

async function servesBehindNginx(t: TestContext, image: Image): Promise<void> {
	const { container, health } = await startPathcastOf(t, image);
	await succeedUpon(t, [...image.layers, image.newLayer()], health);
	const status = readFileSync(`/proc/${processOf(container)}/status`, 'utf8');
	assert.match(status, /^CapBnd:\t0+$/m);
	assert.match(status, /^NoNewPrivs:\t1$/m);

	const port = await startNginxOf(t, image, await container.port());
	const client = new HttpsClient(t, port);
	assert.match((await client.ask('/room')).body, /<!doctype html>/i);
	const subscriber = await subscribeOver(t, port, '/room');
	assert.equal(await client.publish('/room', 'by POST'), 1);
	subscriber.send('by websocket');
	assert.deepEqual(await subscriber.texts(2), ['by POST', 'by websocket']);

	process.kill(processOf(container), 'SIGTERM');
	assert.equal((await subscriber.closed).code, 1012);
	assert.equal((await container.ended).code, 0);
}
