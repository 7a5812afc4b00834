// Runs each file of examples/ against a server.
import assert from 'node:assert/strict';
import { constants, readdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { needsChromium, type OpenedPage, openPage } from '../support/browser.js';
import { type Command, runProgram } from '../support/command.js';
import { read } from '../support/documents.js';
import { post, request } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { startSite } from '../support/site.js';
import { subscribe } from '../support/subscriber.js';

// How long an example may take to subscribe.
const patienceMs = 30_000;
const folder = fileURLToPath(new URL('../../../examples/', import.meta.url));
const [curl, go, php, python, ruby] = ['/usr/bin/curl', '/usr/bin/go', '/usr/bin/php', '/usr/bin/python3', '/usr/bin/ruby'];

const publishers = [
	{ file: 'publish.sh', command: ['/bin/sh'], need: needs('curl', curl) },
	{ file: 'publish.py', command: [python], need: needs('Python', python) },
	{ file: 'publish.go', command: [go, 'run'], need: needs('Go', go) },
	{ file: 'publish.php', command: [php], need: needs('PHP', php) },
	{ file: 'publish.rb', command: [ruby], need: needs('Ruby', ruby) },
];
const streamReaders = [
	{ file: 'subscribe.sh', command: ['/bin/sh'], need: needs('curl', curl), shown: 'data: one\ndata: \ndata: three\n\n' },
	{ file: 'subscribe.py', command: [python], need: needs('Python', python), shown: 'one\n\nthree\n' },
];
const websocketsModule = '/usr/lib/python3/dist-packages/websockets/__init__.py';
const websockets = [
	{ file: 'node.mjs', command: [process.execPath], need: { skip: false } },
	{ file: 'websocket.py', command: [python], need: needs('python3-websockets', websocketsModule, constants.R_OK) },
];
const reconnecting = [...websockets, ...streamReaders.filter(({ file }) => file === 'subscribe.py')];

for (const { file, command, need } of publishers) {
	test(`examples/${file} publishes a message, and prints how many subscribers the channel has`, need, async (t) => {
		const server = await startTestServer(t);
		const subscriber = await subscribe(t, server.ws('/room/1'));
		const { code, stdout, stderr } = await run(t, command, file, channelOf(server), 'grüße & more').ended;
		assert.deepEqual([code, stdout, stderr], [0, '1\n', '']);
		assert.equal(await subscriber.nextText(), 'grüße & more');
	});

	test(`examples/${file} fails where the server refuses the message`, need, async (t) => {
		const server = await startTestServer(t, '--post', 'admin');
		const { code, stdout, stderr } = await run(t, command, file, channelOf(server), 'hello').ended;
		assert.ok(code !== 0 && stderr !== '', `exit code ${code}: ${stderr}`);
		assert.equal(stdout.trim(), '');
	});
}

for (const { file, command, need, shown } of streamReaders) {
	test(`examples/${file} prints a message of several lines as soon as it is published`, need, async (t) => {
		const server = await startTestServer(t);
		const example = run(t, command, file, channelOf(server));
		await publishToSubscriber(server, 'one\n\nthree');
		await printed(example, shown);
	});
}

for (const { file, command, need } of websockets) {
	test(`examples/${file} publishes its arguments once, and prints what all clients publish`, need, async (t) => {
		const server = await startTestServer(t);
		const subscriber = await subscribe(t, server.ws('/room/1'));
		const example = run(t, command, file, channelOf(server), 'hello', 'grüße');
		assert.deepEqual(await subscriber.texts(2), ['hello', 'grüße']);
		await closeChannel(server);
		await publishToSubscriber(server, 'from elsewhere');
		await printed(example, 'from elsewhere\n');
		assert.equal(example.stdout, 'hello\ngrüße\nfrom elsewhere\n');
	});
}

for (const { file, command, need } of reconnecting) {
	test(`examples/${file} connects again each time that the server closed its connection`, need, async (t) => {
		const server = await startTestServer(t);
		const example = run(t, command, file, channelOf(server));
		for (const text of ['first', 'second', 'third']) {
			await publishToSubscriber(server, text);
			await printed(example, `${text}\n`);
			await closeChannel(server);
		}
		assert.equal(example.stdout, 'first\nsecond\nthird\n');
	});
}

test(
	'examples/browser.js publishes, and connects again each time that the server closed its websocket',
	needsChromium,
	async (t) => {
		const server = await startTestServer(t);
		const { page, received } = await openWith(
			t,
			await startSite(t),
			'browser.js',
			`publish = openChannel('${channelOf(server)}', received)`,
		);
		await publishToSubscriber(server, 'first');
		assert.equal(await received(), 'first');
		assert.equal(await page.evaluate("publish('mine')"), true);
		assert.equal(await received(), 'mine');
		for (const text of ['second', 'third']) {
			await closeChannel(server);
			await publishToSubscriber(server, text);
			assert.equal(await received(), text);
		}
	},
);

test(
	'examples/event-source.js connects again after a refusal, and after the server closed its stream',
	needsChromium,
	async (t) => {
		const site = await startSite(t);
		const server = await startTestServer(t, '--max-subscribers', '1', '--origin', site);
		const other = await subscribe(t, server.ws('/room/1'));
		const opened = await openWith(t, site, 'event-source.js');
		const refused = opened.page.waitForResponse((response) => response.status() === 503);
		await opened.page.evaluate(`subscribe('${channelOf(server)}', received)`);
		await refused;
		const accepted = opened.page.waitForResponse((response) => response.status() === 200);
		await other.close();
		await accepted;
		await publishToSubscriber(server, 'first');
		assert.equal(await opened.received(), 'first');
		await closeChannel(server);
		await publishToSubscriber(server, 'second\nline');
		assert.equal(await opened.received(), 'second\nline');
	},
);

test('examples/README.md has a row for each example', () => {
	const rows = [...read('examples/README.md').matchAll(/^\| \[(\S+)\]\((\S+)\) /gm)].map(([, name, target]) => [name, target]);
	const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => name !== 'README.md');
	const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
	assert.deepEqual(
		rows.sort(),
		files.sort().map((file) => [file, file]),
	);
	for (const { name } of entries.filter((entry) => entry.isDirectory()))
		assert.ok(read('examples/README.md').includes(`(${name}/README.md)`), name);
});

function channelOf(server: TestServer): string {
	return `http://127.0.0.1:${server.port}/room/1`;
}

function run(t: TestContext, command: readonly string[], file: string, ...args: string[]): Command {
	const [program = '', ...programArgs] = command;
	return runProgram(t, program, [...programArgs, `${folder}${file}`, ...args]);
}

/** Publishes one message, as soon as the channel has a subscriber. */
async function publishToSubscriber(server: TestServer, text: string): Promise<void> {
	const patience = AbortSignal.timeout(patienceMs);
	let status = 412;
	while (status === 412 && !patience.aborted) ({ status } = await post(server.port, '/room/1', text, { 'If-Match': '*' }));
	assert.equal(status, 200);
}

/** Closes all websockets and streams of the channel. */
async function closeChannel(server: TestServer): Promise<void> {
	const { status } = await request(server.operatorPort, { method: 'DELETE', path: '/channels/room/1' });
	assert.equal(status, 200);
}

/** Waits until the output of an example ends with that text. */
async function printed(example: Command, text: string): Promise<void> {
	await example.until(() => example.stdout.endsWith(text) || undefined);
}

/** Runs a statement in an empty page that has imported that module. Its function `received` hands the messages to the test, one by one. */
async function openWith(
	t: TestContext,
	site: string,
	file: string,
	statement = '',
): Promise<OpenedPage & { received(): Promise<string> }> {
	const opened = await openPage(t, site);
	const source = Buffer.from(read(`examples/${file}`)).toString('base64');
	await opened.page.evaluate(
		`import('data:text/javascript;base64,${source}').then((exported) => void Object.assign(window, exported))`,
	);
	await opened.page.evaluate(`var messages = [], publish;
		function received(text) { messages.push(text); }
		${statement};`);
	const next = `new Promise((resolve) => {
		const look = () => (messages.length > 0 ? resolve(messages.shift()) : requestAnimationFrame(look));
		look();
	})`;
	return { ...opened, received: () => opened.page.evaluate<string>(next) };
}
