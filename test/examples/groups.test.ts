// Runs the clients of examples/groups, and the commands of its README.
import assert from 'node:assert/strict';
import { TransformStream } from 'node:stream/web';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { runProgram } from '../support/command.js';
import { fenced, read, shellLines } from '../support/documents.js';
import { post, request } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { startService } from '../support/service.js';

const folder = new URL('../../../examples/groups/', import.meta.url);
const readme = read('examples/groups/README.md');
const [startsServer = '', ...commands] = shellLines(readme);

// Node 20 has no WebSocket of its own.
const global: { WebSocket?: unknown } = globalThis;
global.WebSocket ??= WebSocket;
const plain = global.WebSocket;
// awx.js puts its own class in the place of the global one, which browser.js needs.
await import(new URL('awx.js', folder).href);
const BeforeAwx = global.WebSocket as typeof WebSocket;
global.WebSocket = plain;
const { openChannels } = await import(new URL('browser.js', folder).href);

type Groups = Record<string, readonly (string | number)[]>;
type AwxMessage = Record<string, unknown>;

/** A client that knows nothing but AWX: it opens a WebSocket, names its groups in JSON, and parses what comes. */
class AwxClient {
	readonly #socket: WebSocket;
	readonly #messages = queue<AwxMessage>();

	constructor(t: TestContext, url: string, groups: Groups) {
		this.#socket = new BeforeAwx(url);
		assert.ok(this.#socket instanceof (plain as typeof WebSocket));
		this.#socket.onopen = () => this.show(groups);
		this.#socket.onmessage = ({ data }) => this.#messages.put(JSON.parse(String(data)));
		this.#socket.onclose = ({ code }) => this.#messages.put({ code });
		t.after(() => this.#socket.close());
	}

	/** Names the groups of another page. */
	show(groups: Groups): void {
		this.#socket.send(JSON.stringify({ xrftoken: 'a1b2c3', groups }));
	}

	/** The next message, or the code with which the websocket was closed. */
	next(): Promise<AwxMessage | undefined> {
		return this.#messages.next();
	}
}

test('the client of examples/groups/awx.js has at most 15 lines of code', () => {
	const lines = read('examples/groups/awx.js').split('\n');
	const code = lines.filter((line) => !/^\s*(\/\/.*)?$/.test(line));
	assert.ok(code.length <= 15, `${code.length} lines`);
});

test('an AWX client behind examples/groups/awx.js gets the messages of its groups, and none of a group that it left', async (t) => {
	const server = await startTestServer(t, '--groups');
	const client = new AwxClient(t, server.ws('/websocket/'), {
		jobs: ['status_changed', 'summary'],
		schedules: ['changed'],
		control: ['limit_reached_1'],
	});
	const first = ['jobs-status_changed', 'jobs-summary', 'schedules-changed', 'control-limit_reached_1'];
	assert.deepEqual(await client.next(), { groups_current: first, groups_left: [], groups_joined: first });
	await publish(server, '/jobs/status_changed', { group_name: 'jobs', unified_job_id: 4711, status: 'running' });
	assert.deepEqual(await client.next(), { group_name: 'jobs', unified_job_id: 4711, status: 'running' });
	await publish(server, '/control/limit_reached_1', { group_name: 'control', text: 'left: /jobs/summary\n\nsubscribed: /a/b' });
	assert.deepEqual(await client.next(), { group_name: 'control', text: 'left: /jobs/summary\n\nsubscribed: /a/b' });

	client.show({ jobs: ['status_changed'], job_events: [4711], 'ad hoc': ['café & more'] });
	assert.deepEqual(await client.next(), {
		groups_current: ['jobs-status_changed', 'job_events-4711', 'ad hoc-café & more'],
		groups_left: ['jobs-summary', 'schedules-changed', 'control-limit_reached_1'],
		groups_joined: ['job_events-4711', 'ad hoc-café & more'],
	});
	await publish(server, '/jobs/summary', { group_name: 'jobs', number: 1 }, 0);
	await publish(server, '/schedules/changed', { group_name: 'schedules', number: 2 }, 0);
	await publish(server, '/ad%20hoc/caf%C3%A9%20&%20more', { group_name: 'ad hoc', number: 3 });
	await publish(server, '/job_events/4711', { group_name: 'job_events', number: 4 });
	await publish(server, '/jobs/status_changed', { group_name: 'jobs', number: 5 });
	for (const number of [3, 4, 5]) assert.equal((await client.next())?.number, number);

	client.show({});
	const all = ['jobs-status_changed', 'job_events-4711', 'ad hoc-café & more'];
	assert.deepEqual(await client.next(), { groups_current: [], groups_left: all, groups_joined: [] });
	await publish(server, '/jobs/status_changed', { group_name: 'jobs' }, 0);
	client.show({ jobs: ['summary'] });
	const last = ['jobs-summary'];
	assert.deepEqual(await client.next(), { groups_current: last, groups_left: [], groups_joined: last });
});

test('an AWX client behind examples/groups/awx.js loses nothing of a group that stays when its page changes', async (t) => {
	const server = await startTestServer(t, '--groups');
	const client = new AwxClient(t, server.ws('/awx/websocket/'), { jobs: ['status_changed'], job_events: [0] });
	assert.deepEqual((await client.next())?.groups_left, []);
	const count = 200;
	const received: unknown[] = [];
	const publishing = (async () => {
		for (let number = 0; number < count; number++) await publish(server, '/jobs/status_changed', { group_name: 'jobs', number });
	})();
	const isChanged: boolean[] = [];
	for (let page = 0; received.length < count || isChanged.length < page; ) {
		const message = await client.next();
		if (message?.group_name !== 'jobs') isChanged.push(message?.error === undefined);
		else if (received.push(message.number) % 40 === 20) client.show({ jobs: ['status_changed'], job_events: [++page] });
	}
	await publishing;
	const numbers = Array.from({ length: count }, (_, number) => number);
	assert.deepEqual(received, numbers);
	assert.deepEqual(isChanged, [true, true, true, true, true]);
});

test('an AWX client behind examples/groups/awx.js is told of a group that is refused or closed, and when its websocket closes', async (t) => {
	const service = await startService(t, (question) => {
		const path = question.field('x-original-uri');
		if (path === '/websocket/') question.answer(200, [['X-Session', 'alice']], '{"accept":true,"user":157}');
		else if (path === '/job_events/4712') question.answer(403, [], 'This is the job of another user.');
		else question.answer(204);
	});
	const onlyTheApplication = '--post admin --client-publish none';
	assert.ok(readme.includes(onlyTheApplication));
	const server = await startTestServer(t, '--groups', '--auth', service.url, ...onlyTheApplication.split(' '));
	const client = new AwxClient(t, server.ws('/websocket/'), { jobs: ['summary'], job_events: [4711] });
	assert.deepEqual(await client.next(), { accept: true, user: 157 });
	const names = ['jobs-summary', 'job_events-4711'];
	assert.deepEqual(await client.next(), { groups_current: names, groups_left: [], groups_joined: names });
	client.show({ jobs: ['summary'], job_events: [4712] });
	assert.deepEqual(await client.next(), {
		error: 'refused: /job_events/4712\ncommand: subscribe\nstatus: 403\n\nThis is the job of another user.',
	});
	await post(server.operatorPort, '/channels/job_events/4711', '{"group_name":"job_events"}');
	assert.deepEqual(await client.next(), { group_name: 'job_events' });
	await request(server.operatorPort, { method: 'DELETE', path: '/channels/job_events/4711' });
	assert.deepEqual(await client.next(), {
		groups_current: ['jobs-summary'],
		groups_left: ['job_events-4711'],
		groups_joined: [],
	});
	await request(server.operatorPort, {
		method: 'POST',
		path: '/send',
		headers: { 'X-Session': 'alice' },
		body: '{"to":"alice"}',
	});
	assert.deepEqual(await client.next(), { to: 'alice' });
	await server.stop();
	assert.deepEqual(await client.next(), { code: 1012 });
});

test('the commands of the README of examples/groups show what it says', needs('curl', '/usr/bin/curl'), async (t) => {
	const server = await startFromReadme(t);
	const [toAwx, toPage] = [commands.filter((command) => command.includes('group_name')), commands.slice(2)];
	assert.deepEqual([toAwx.length, toPage.length], [2, 2]);
	const [shown = ''] = fenced(readme, 'json');
	const client = new AwxClient(t, server.ws('/websocket/'), JSON.parse(shown).groups);
	const names = ['jobs-status_changed', 'jobs-summary', 'job_events-4711'];
	assert.deepEqual(await client.next(), { groups_current: names, groups_left: [], groups_joined: names });
	for (const command of toAwx) {
		assert.match(await runCurl(t, server, command), /OK\n$/);
		const [, body = ''] = /-d '(.*)'$/.exec(command) ?? [];
		assert.deepEqual(await client.next(), JSON.parse(body));
	}

	const [snippet = ''] = fenced(readme, 'js');
	const code = `import WebSocket from 'ws'; globalThis.WebSocket ??= WebSocket;\n${at(server, snippet)}`;
	const page = runProgram(t, process.execPath, ['--input-type=module', '--eval', code], process.env, fileURLToPath(folder));
	await publishToSubscriber(server, '/schedules', 'again');
	await page.until(() => page.stdout.includes('again\n') || undefined);
	for (const command of toPage) assert.match(await runCurl(t, server, command), /OK\n$/);
	const expected = [...readme.matchAll(/^curl .*? +# (.*)$/gm)].map(([, line]) => `${line}\n`);
	assert.equal(expected.length, 2);
	await page.until(() => page.stdout.endsWith(expected[1] ?? '') || undefined);
	assert.equal(page.stdout, ['schedules: again\n', ...expected].join(''));
	assert.equal(page.stderr, '');
});

test('examples/groups/browser.js gives each message to the handler of its channel, publishes, and changes the set', async (t) => {
	const server = await startTestServer(t, '--groups');
	const refusals = t.mock.method(console, 'error', () => {});
	const { put, next } = queue<readonly string[]>();
	const paths = ['/a:b', encodeURI('/café & more')];
	const handlers: Record<string, (text: string, from: string) => void> = {};
	for (const path of paths) handlers[path] = (text, from) => put([path, text, from]);
	const send = openChannels(server.ws(''), handlers);
	await publishToSubscriber(server, '/caf%C3%A9%20&%20more', 'first');
	assert.deepEqual(await next(), ['/caf%C3%A9%20&%20more', 'first', 'post']);
	await post(server.operatorPort, '/channels/a:b', 'channel: /x\nfrom: 1\n\nforged');
	assert.deepEqual(await next(), ['/a:b', 'channel: /x\nfrom: 1\n\nforged', 'server']);

	const [, ofPage = ''] = fenced(readme, 'js');
	const frames = [...ofPage.matchAll(/^send\('(\w+): \S+?'(?:, '(\w+)')?\);$/gm)].map(([, command, body]) => [command, body]);
	assert.deepEqual(frames, [
		['publish', 'hello'],
		['remove', undefined],
	]);
	send('publish: /a:b', 'hello');
	const [path, text, from] = (await next()) ?? [];
	assert.deepEqual([path, text], ['/a:b', 'hello']);
	assert.match(from ?? '', /^\d+$/);
	send('remove: /a:b');
	send('publish: /a:b', 'hello');
	send('nonsense');
	send('publish: /café%20&%20more', 'end');
	assert.equal((await next())?.[1], 'end');
	assert.deepEqual(
		refusals.mock.calls.map(({ arguments: [refused, status] }) => [refused, status]),
		[
			['/a:b', '403'],
			['', '400'],
		],
	);
});

/** A queue whose items a test awaits one by one. */
function queue<Item>(): { put(item: Item): void; next(): Promise<Item | undefined> } {
	const { readable, writable } = new TransformStream<Item, Item>(undefined, undefined, {
		highWaterMark: Number.POSITIVE_INFINITY,
	});
	const [writer, reader] = [writable.getWriter(), readable.getReader()];
	return { put: (item) => void writer.write(item), next: async () => (await reader.read()).value };
}

/** Starts the server as the README says, on other ports. */
function startFromReadme(t: TestContext): Promise<TestServer> {
	assert.match(startsServer, /^npm start -- /);
	return startTestServer(t, ...startsServer.replace(/^npm start -- /, '').split(' '));
}

/** Publishes as the application does, by POST to the path, and says how many subscribers there have to be. */
async function publish(server: TestServer, path: string, message: AwxMessage, subscribers = 1): Promise<void> {
	// On several lines, of which some are blank: valid JSON, and the client gets it as it is.
	const { status, headers } = await post(server.port, path, JSON.stringify(message, null, '\n\n'));
	assert.deepEqual([status, headers.get('x-subscribers')], [200, String(subscribers)], path);
}

/** Publishes one message, as soon as the channel has a subscriber. */
async function publishToSubscriber(server: TestServer, path: string, text: string): Promise<void> {
	let status = 412;
	while (status === 412) ({ status } = await post(server.port, path, text, { 'If-Match': '*' }));
	assert.equal(status, 200);
}

async function runCurl(t: TestContext, server: TestServer, command: string): Promise<string> {
	const line = command.replace('curl ', 'exec curl --fail --silent --show-error ');
	const { code, stdout, stderr } = await runProgram(t, '/bin/sh', ['-c', at(server, line)]).ended;
	assert.deepEqual([code, stderr], [0, ''], command);
	return stdout;
}

function at(server: TestServer, code: string): string {
	return code.replaceAll(':8081', `:${server.port}`).replaceAll(':8082', `:${server.operatorPort}`);
}
