// --auth and --groups: each path that a connection joins is asked of the service, and its answer holds for that path.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { changed, openGroups } from '../support/groups.js';
import { post, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, metricBecomes, startTestServer } from '../support/server.js';
import { answering, byPath, hold, type Script, startService, writing } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';

async function startAsked(t: TestContext, script: Script, ...flags: string[]) {
	const service = await startService(t, script);
	const server = await startTestServer(t, '--groups', '--auth', service.url, ...flags);
	return { service, server };
}

protocol(
	"Each path of a change is asked of the authorisation service, at most 16 at once, with the headers and the query of the websocket's own request. `X-Rewrite`, `X-Publish`, `X-Max-Age` and the first message, which is `from: server`, hold for that path alone; a session in the answer does not count.",
	async (t) => {
		const scripts = {
			'/rewritten': answering(204, [['X-Rewrite', '/real']]),
			'/quiet': answering(204, [['X-Publish', 'none']]),
			'/inbox': answering(204, [['X-Publish', '/outbox']]),
			'/hello': answering(200, [['X-Session', 'ignored']], 'channel: /hello\nfrom: 1\n\nhi'),
			'/short': answering(204, [['X-Max-Age', '1']]),
		};
		const { service, server } = await startAsked(t, byPath(scripts));
		const headers = { Cookie: 'id=1', Authorization: 'Basic eDp5', 'X-Original-URI': '/forged', 'X-Forwarded-For': '192.0.2.1' };
		const client = await openGroups(t, server, '/room?token=a%20b', { headers, origin: 'https://app.example' });
		const own = await service.next();
		const names = (fields: readonly string[]) => fields.filter((name, i) => i % 2 === 0 && name !== 'X-Original-URI');
		client.send('add: /rewritten /quiet /inbox /hello /caf%C3%A9 /room /%3Fa');
		const questions = await service.take(6);
		const asked = ['/rewritten', '/quiet', '/inbox', '/hello', '/caf%C3%A9', '/%3Fa'].map((path) => `${path}?token=a%20b`);
		assert.deepEqual(questions.map((question) => question.field('X-Original-URI')).sort(), asked.sort());
		for (const question of questions) {
			assert.deepEqual(names(question.fields), names(own.fields));
			for (const name of ['Cookie', 'Authorization', 'Origin', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Real-IP', 'X-Endpoint'])
				assert.equal(question.field(name), own.field(name), name);
			assert.deepEqual([question.method, question.url], ['GET', '/ask?token=a%20b']);
			assert.deepEqual([question.field('X-Original-Action'), question.field('X-Original-Method')], ['subscribe', 'GET']);
		}
		const joined = '/rewritten /quiet /inbox /hello /caf%C3%A9 /%3Fa';
		assert.deepEqual(await client.nextAnswer(), changed(`/room ${joined}`, joined));
		assert.deepEqual(await client.nextMessage(), ['/hello', 'server', 'channel: /hello\nfrom: 1\n\nhi']);

		// The answer about one path does not hold for another.
		client.publish('/quiet', 'x');
		assert.deepEqual((await client.nextRefusal()).slice(0, 2), ['/quiet', 403]);
		const outbox = await subscribe(t, server.ws('/outbox'));
		client.publish('/inbox', 'out');
		assert.equal(await outbox.nextText(), 'out');
		const id = own.field('X-Session') ?? '1';
		for (const path of ['/rewritten', '/hello', '/room']) {
			client.publish(path, 'mine');
			assert.deepEqual(await client.nextMessage(), [path, id, 'mine']);
		}
		assert.deepEqual(await client.change('subscribe: /room /short'), changed('/room /short', '/short', joined));
		assert.deepEqual(await client.nextAnswer(), { ...changed('/room', '', '/short'), reason: 'authorisation expired' });
		client.publish('/room', 'still open');
		assert.deepEqual((await client.nextMessage())[2], 'still open');
		assert.equal(service.asked, 9);
	},
);

const refusals: readonly (readonly [what: string, script: Script, status: number, reason: RegExp])[] = [
	...([401, 403, 404, 429] as const).flatMap((status) => [
		[
			`${status} with a body`,
			answering(status, [], 'not for you:\n\nchannel: /x'),
			status,
			/^not for you:\n\nchannel: \/x$/,
		] as const,
		[
			`${status} without one`,
			answering(status),
			status,
			/^The authorisation service of this server refused the request\.$/,
		] as const,
	]),
	[
		'a body that is not UTF-8',
		answering(403, [], Buffer.from([0x61, 0xff])),
		403,
		/^The authorisation service of this server refused/,
	],
	['a long body', answering(403, [], 'x'.repeat(9_000)), 403, /^The authorisation service of this server refused/],
	['500', answering(500, [], 'secret'), 502, /gave no usable answer/],
	['a redirect', answering(302, [['Location', '/']]), 502, /gave no usable answer/],
	['200 without a session', answering(200), 502, /gave no usable answer/],
	['an X-Rewrite that is no path', answering(204, [['X-Rewrite', 'room']]), 502, /gave no usable answer/],
	['an X-Publish that is no path', answering(204, [['X-Publish', '/a?b']]), 502, /gave no usable answer/],
	['a first message that is not UTF-8', answering(200, [['X-Session', 'a']], Buffer.from([0xff])), 502, /gave no usable answer/],
	['no HTTP', writing('nonsense\r\n\r\n', 'close'), 502, /gave no usable answer/],
	['a connection that ends', ({ socket }) => socket.destroy(), 502, /gave no usable answer/],
	['no answer in time', hold, 502, /gave no usable answer/],
];

test('a change is refused if the service refuses one of its paths, or does not answer for it, and nothing is changed', async (t) => {
	const scripts = Object.fromEntries(refusals.map(([, script], i) => [`/bad${i}`, script]));
	const { server } = await startAsked(t, byPath(scripts), '--auth-timeout', '1s');
	const bystander = await openGroups(t, server, '/b');
	const refused = refusals.map(async ([what, , status, reason], i) => {
		const client = await openGroups(t, server, '/room');
		client.send(`subscribe: /b /bad${i} /c`);
		const [path, told, body] = await client.nextRefusal();
		assert.deepEqual([path, told], [`/bad${i}`, status], what);
		assert.match(body, reason, what);
		assert.deepEqual(await client.change('add:'), changed('/room'), what);
		return client;
	});
	const clients = await Promise.all(refused);
	for (const path of ['/b', '/c', '/room']) await post(server.port, path, `on ${path}`);
	assert.deepEqual(await bystander.nextMessage(), ['/b', 'post', 'on /b']);
	for (const client of clients) assert.deepEqual(await client.nextMessage(), ['/room', 'post', 'on /room']);
	assert.equal(await metric(server, 'pathcast_channels'), 2);
	assert.equal(await metric(server, 'pathcast_auth_waiting'), 0);
});

protocol(
	'A client sees its own names for channels, also where the service has rewritten them, percent-encoded as `encodeURI` does it, and `?` and `#` too; a message to its own session has `session:` in place of `channel:`.',
	async (t) => {
		const script = byPath({
			'/mine': answering(204, [
				['X-Rewrite', '/users/42/caf%C3%A9'],
				['X-Session', 'alice'],
			]),
			'/old': answering(204, [['X-Rewrite', '/new']]),
			'/older': answering(204, [['X-Rewrite', '/new']]),
		});
		const { server } = await startAsked(t, script);
		const alice = await openGroups(t, server, '/mine');
		assert.deepEqual(await alice.change('add: /old /older /new'), changed('/mine /old /older /new', '/old /older /new'));
		await post(server.port, '/users/42/caf%C3%A9', 'rewritten');
		assert.deepEqual(await alice.nextMessage(), ['/mine', 'post', 'rewritten']);

		// Three names of one channel are three subscriptions: a message comes once for each, also the client's own.
		assert.equal((await post(server.port, '/new', 'thrice')).headers.get('x-subscribers'), '3');
		assert.deepEqual((await alice.messages(3)).map(([path]) => path).sort(), ['/new', '/old', '/older']);
		alice.publish('/old', 'mine');
		assert.deepEqual(
			(await alice.messages(3)).map((message) => message.slice(1)),
			Array(3).fill(['alice', 'mine']),
		);
		assert.deepEqual(await alice.change('remove: /older /new'), changed('/mine /old', '', '/older /new'));
		await post(server.port, '/new', 'once');
		assert.deepEqual(await alice.nextMessage(), ['/old', 'post', 'once']);

		// The client knows its own name alone, in refusals too. The name that the service gave is no name of its set.
		alice.publish('/users/42/caf%C3%A9', 'x');
		assert.deepEqual((await alice.nextRefusal()).slice(0, 2), ['/users/42/caf%C3%A9', 403]);

		const toAlice = { 'X-Session': 'alice' };
		await request(server.operatorPort, { method: 'POST', path: '/send', headers: toAlice, body: 'to alice' });
		const { head, body } = await alice.next();
		assert.deepEqual(
			[[...head], body],
			[
				[
					['session', 'alice'],
					['from', 'server'],
				],
				'to alice',
			],
		);
		const shown = JSON.parse((await request(server.operatorPort, { path: '/sessions/alice' })).body);
		assert.deepEqual([shown.count, shown.connections[0].paths], [1, ['/mine', '/old']]);

		// A connection without any channel keeps its session.
		assert.deepEqual(await alice.change('subscribe:'), changed('', '', '/mine /old'));
		for (const path of ['/mine', '/new', '/users/42/caf%C3%A9']) await post(server.port, path, 'to nobody');
		await request(server.operatorPort, { method: 'POST', path: '/close', headers: toAlice, body: 'last' });
		const [last, ...more] = await alice.framesUntilClosed(1000);
		assert.deepEqual([last?.head.get('session'), last?.body, more], ['alice', 'last', []]);
		await metricBecomes(server, 'pathcast_channels', 0);
	},
);

test('no path and no `subscribe:` leads to the session of another connection', async (t) => {
	const service = await startService(t, byPath({ '/a': answering(204, [['X-Session', 'alice']]) }));
	const server = await startTestServer(t, '--groups', '--auth', service.url);
	const alice = await openGroups(t, server, '/a');
	const mallory = await openGroups(t, server, '/room');
	for (const path of ['alice', '%61lice']) {
		assert.equal((await mallory.change(`add: ${path}`)).status, '400');
		mallory.publish(path, 'x');
		assert.deepEqual((await mallory.nextRefusal()).slice(0, 2), [path, 400]);
	}
	assert.deepEqual(await mallory.change('add: /alice //alice'), changed('/room /alice //alice', '/alice //alice'));
	await request(server.operatorPort, { method: 'POST', path: '/send', headers: { 'X-Session': 'alice' }, body: 'secret' });
	for (const path of ['/alice', '//alice']) mallory.publish(path, 'mine');
	assert.deepEqual(
		(await mallory.messages(2)).map(([path]) => path),
		['/alice', '//alice'],
	);
	assert.equal((await alice.next()).body, 'secret');
	mallory.publish('/room', 'end');
	assert.deepEqual((await mallory.nextMessage())[2], 'end');
});
