// A POST to /send: who gets it, in which order, and what the answer says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientKind, clientKinds, openClient } from '../support/clients.js';
import { openStream } from '../support/event-stream.js';
import { type Answer, post, RawConnection, type Request, request } from '../support/http.js';
import { startNamingService } from '../support/naming-service.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

type Headers = NonNullable<Request['headers']>;

function send({ operatorPort }: TestServer, headers: Headers, body: string | Buffer): Promise<Answer> {
	return request(operatorPort, { method: 'POST', path: '/send', headers, body });
}

/** Holds that an answer is that JSON. */
function assertJson({ status, headers, body }: Answer, expectedStatus: number, expected: object): void {
	assert.deepEqual([status, headers.get('content-type'), JSON.parse(body)], [expectedStatus, 'application/json', expected]);
}

const ok = { result: 'OK' };
const missing = (...sessions: string[]) => sessions.map((session) => ({ error: 'session is not found.', session }));

for (const kind of clientKinds) {
	test(`a POST to /send reaches the session that it names, and no other: ${kind}`, async (t) => {
		const { url } = await startNamingService(t);
		const server = await startTestServer(t, '--auth', url);
		const [alice, bob, nobody] = await Promise.all(
			['/room?alice', '/room?bob', '/room'].map((path) => openClient(t, kind, server, path)),
		);
		assertJson(await send(server, { 'X-Session': 'alice' }, 'for alice\nalone'), 200, ok);
		assertJson(await send(server, { 'x-session': ' bob ' }, 'for bob'), 200, ok);
		await post(server.port, '/room', 'for all');
		assert.deepEqual(await alice?.texts(2), ['for alice\nalone', 'for all']);
		assert.deepEqual(await bob?.texts(2), ['for bob', 'for all']);
		assert.deepEqual(await nobody?.texts(1), ['for all']);
	});
}

protocol(
	"A POST to `/send` of the operator's listener sends its body to every session of the session header, repeated or comma-separated, and publishes it on each channel of `X-Channel`, repeated.",
	async (t) => {
		const { url } = await startNamingService(t);
		for (const kind of clientKinds) {
			const server = await startTestServer(t, '--auth', url);
			const paths = ['/a?1', '/a?2', '/b?3', '/caf%C3%A9', '/a,b'];
			const clients = await Promise.all(paths.map((path) => openClient(t, kind, server, path)));
			const asked: [headers: Headers, heardBy: string[]][] = [
				[{ 'X-Session': '1' }, ['/a?1']],
				[{ 'X-Session': ['1', '2'] }, ['/a?1', '/a?2']],
				[{ 'X-Session': '1, 3,' }, ['/a?1', '/b?3']],
				[{ 'X-Session': [' 2 ,1', '3'] }, ['/a?1', '/a?2', '/b?3']],
				[{ 'X-Channel': '/a' }, ['/a?1', '/a?2']],
				[{ 'X-Channel': ['/b', '/caf%C3%A9'] }, ['/b?3', '/caf%C3%A9']],
				[{ 'X-Channel': '/café' }, ['/caf%C3%A9']],
				[{ 'X-Channel': '/a,b' }, ['/a,b']],
				[{ 'X-Session': '3', 'X-Channel': '/a' }, ['/a?1', '/a?2', '/b?3']],
				[{ 'X-Channel': '/nobody' }, []],
				// A name that is given twice stands for one message.
				[{ 'X-Session': ['1', '1,1'], 'X-Channel': ['/b', '/b'] }, ['/a?1', '/b?3']],
				// A subscriber that is meant twice gets it twice.
				[{ 'X-Session': '1', 'X-Channel': '/a' }, ['/a?1', '/a?1', '/a?2']],
			];
			for (const [i, [headers]] of asked.entries()) assertJson(await send(server, headers, `message ${i}`), 200, ok);
			for (const path of ['/a', '/b', '/caf%C3%A9', '/a,b']) await post(server.port, path, 'end');
			for (const [nth, path] of paths.entries()) {
				const expected = asked.flatMap(([, heardBy], i) => heardBy.filter((heard) => heard === path).map(() => `message ${i}`));
				assert.deepEqual(await clients[nth]?.texts(expected.length + 1), [...expected, 'end'], path);
			}
		}
	},
);

protocol(
	'Sessions that are not there are listed under `errors`, with `"result":"OK"` if the message went to a subscriber, and `"result":"NG"` if it went to none.',
	async (t) => {
		const { url } = await startNamingService(t);
		for (const kind of clientKinds) {
			const server = await startTestServer(t, '--auth', url);
			const alice = await openClient(t, kind, server, '/room?alice');
			assertJson(await send(server, { 'X-Session': 'bob' }, 'lost'), 200, { errors: missing('bob'), result: 'NG' });
			const two = await send(server, { 'X-Session': ['bob', '/room,Alice'] }, 'lost');
			assertJson(two, 200, { errors: missing('bob', '/room', 'Alice'), result: 'NG' });
			const some = await send(server, { 'X-Session': 'bob,alice,eve' }, 'heard');
			assertJson(some, 200, { errors: missing('bob', 'eve'), result: 'OK' });
			const beside = await send(server, { 'X-Session': 'bob', 'X-Channel': '/room' }, 'beside');
			assertJson(beside, 200, { errors: missing('bob'), result: 'OK' });
			const empty = await send(server, { 'X-Session': 'bob', 'X-Channel': '/empty' }, 'lost');
			assertJson(empty, 200, { errors: missing('bob'), result: 'NG' });
			assert.deepEqual(await alice.texts(2), ['heard', 'beside']);
		}
	},
);

protocol(
	'With `--strict-broadcast`, or `Prefer: handling=strict`, `/send` and `/close` answer 400 and do nothing if a session is not there.',
	async (t) => {
		const { url } = await startNamingService(t);
		const preferences = ['handling=strict', 'respond-async, Handling="strict"; x=1', ['wait=1', 'handling = strict']];
		for (const kind of clientKinds) {
			const lenient = await startTestServer(t, '--auth', url);
			const strict = await startTestServer(t, '--auth', url, '--strict-broadcast');
			const asked: [TestServer, Headers][] = [[strict, {}]];
			for (const prefer of preferences) asked.push([lenient, { Prefer: prefer }]);
			for (const [server, headers] of asked) {
				const alice = await openClient(t, kind, server, '/room?alice');
				for (const path of ['/send', '/close']) {
					const both = { ...headers, 'X-Session': 'alice, bob', 'X-Channel': '/room' };
					const answer = await request(server.operatorPort, { method: 'POST', path, headers: both, body: 'lost' });
					assertJson(answer, 400, { errors: missing('bob'), result: 'NG' });
				}
				assertJson(await send(server, { ...headers, 'X-Session': 'alice' }, 'heard'), 200, ok);
				assert.deepEqual(await alice.texts(1), ['heard']);
			}
			for (const prefer of ['handling=lenient', 'handling=strictly', 'x=handling=strict']) {
				const { status } = await send(lenient, { Prefer: prefer, 'X-Session': 'alice, bob' }, 'heard');
				assert.equal(status, 200, prefer);
			}
		}
	},
);

test('a POST to /send or /close that names nobody, or a channel that is no path, is refused with 400, and nothing is sent', async (t) => {
	const { url } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url);
	const alice = await subscribe(t, server.ws('/room?alice'));
	const header = [{ error: 'session header is missing' }];
	const channel = (error: string, given: string) => [{ error, channel: given }];
	const noPath = 'This is not a path: begin with a slash, and percent-encode blanks, ? and #.';
	const cases: [Headers, object][] = [
		[{}, header],
		[{ 'X-Session': '' }, header],
		[{ 'X-Session': [' , ', ','] }, header],
		[{ 'X-Kuiperbelt-Session': 'alice' }, header],
		[{ 'X-Session': 'alice', 'X-Channel': 'alice' }, channel(noPath, 'alice')],
		[{ 'X-Session': 'alice', 'X-Channel': '' }, channel(noPath, '')],
		[{ 'X-Session': 'alice', 'X-Channel': '/room, /room' }, channel(noPath, '/room, /room')],
		[{ 'X-Session': 'alice', 'X-Channel': '/room?x' }, channel(noPath, '/room?x')],
		[
			{ 'X-Session': 'alice', 'X-Channel': ['/room', '/%'] },
			channel('The path holds a % without two hexadecimal digits after it: write %25 for a literal %.', '/%'),
		],
		[
			{ 'X-Session': 'alice', 'X-Channel': `/${'x'.repeat(256)}` },
			channel('The path is longer than 256 characters, its leading slash included (--max-path).', `/${'x'.repeat(256)}`),
		],
	];
	for (const path of ['/send', '/close']) {
		for (const [headers, errors] of cases) {
			const answer = await request(server.operatorPort, { method: 'POST', path, headers, body: 'lost' });
			assertJson(answer, 400, { errors, result: 'NG' });
		}
	}
	await send(server, { 'X-Session': 'alice' }, 'sentinel');
	assert.equal(await alice.nextText(), 'sentinel');
});

test('a session whose name looks like a path is not the channel of that path, and the other way round', async (t) => {
	const { url } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url);
	const alice = await subscribe(t, server.ws('/alice?alice'));
	assertJson(await send(server, { 'X-Session': '/alice' }, 'lost'), 200, { errors: missing('/alice'), result: 'NG' });
	for (const path of ['/alice', '/%61lice']) {
		const { headers } = await post(server.port, path, `to ${path}`);
		assert.equal(headers.get('x-subscribers'), '1');
		assert.equal(await alice.nextText(), `to ${path}`);
	}
});

test('the body of a POST to /send is bounded as on the public side, and a refusal sends nothing', async (t) => {
	const { url } = await startNamingService(t);
	for (const isBinary of [false, true]) {
		const server = await startTestServer(t, '--auth', url, '--max-message', '1KiB', ...(isBinary ? ['--binary'] : []));
		const alice = await subscribe(t, server.ws('/room?alice'));
		const octets = { 'Content-Type': 'application/octet-stream' };
		const bytes = Buffer.from([0xff, 0]);
		const cases: [status: number, body: string | Buffer, headers: Headers][] = [
			[413, 'x'.repeat(1_025), {}],
			[415, 'x', { 'Content-Encoding': 'gzip' }],
			[400, bytes, {}],
			[isBinary ? 200 : 400, bytes, octets],
			[200, '', {}],
			[200, 'x'.repeat(1_024), {}],
		];
		for (const [status, body, headers] of cases) {
			const answer = await send(server, { ...headers, 'X-Session': 'alice' }, body);
			assert.equal(answer.status, status);
			const { result, errors } = JSON.parse(answer.body);
			assert.equal(result, status === 200 ? 'OK' : 'NG');
			if (status !== 200) assert.match(errors[0].error, /^The [^\n]+\.$/);
			if (status === 415) assert.equal(answer.headers.get('accept-encoding'), 'identity');
		}
		if (isBinary) assert.deepEqual(await alice.next(), { data: bytes, isBinary: true });
		assert.equal(await alice.nextText(), 'x'.repeat(1_024));

		const chunked = new RawConnection(server.operatorPort);
		const head = 'POST /send HTTP/1.1\r\nX-Session: alice\r\nTransfer-Encoding: chunked\r\n\r\n';
		await chunked.write(`${head}400\r\n${'x'.repeat(1_024)}\r\n1\r\nx\r\n`);
		assert.equal((await chunked.answer()).status, 413);
		await chunked.write(`0\r\n\r\n${head}2\r\nin\r\n7\r\n pieces\r\n0\r\n\r\n`);
		assert.equal((await chunked.answer()).status, 200);
		assert.equal(await alice.nextText(), 'in pieces');
		chunked.end();
		const refused = isBinary ? 3 : 4;
		assert.equal(JSON.parse((await request(server.operatorPort, { path: '/stats' })).body).message_errors, refused + 1);
	}
});

test('a POST to /send reaches each of 1,000 sessions, whether in headers of their own or in one', async (t) => {
	const { url } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url, '--log-level', 'info');
	// As long as UUIDs are.
	const names = Array.from({ length: 1_000 }, (_, i) => String(i).padStart(36, '-'));
	const subscribers = [];
	while (subscribers.length < names.length) {
		const some = names.slice(subscribers.length, subscribers.length + 100);
		subscribers.push(...(await Promise.all(some.map((name) => openStream(t, server, `/room?${name}`)))));
	}
	assert.equal(await metric(server, 'pathcast_sessions'), 1_000);
	assertJson(await send(server, { 'X-Session': names }, 'repeated'), 200, ok);
	assertJson(await send(server, { 'X-Session': names.join(',') }, 'in one'), 200, ok);
	for (const subscriber of subscribers) assert.deepEqual(await subscriber.texts(2), ['repeated', 'in one']);
	const { total_messages: messages, deliveries } = JSON.parse((await request(server.operatorPort, { path: '/stats' })).body);
	assert.deepEqual([messages, deliveries], [2_000, 2_000]);
	const tooMany = await send(server, { 'X-Session': 'x'.repeat(65_536) }, 'lost');
	assert.deepEqual([tooMany.status, tooMany.body], [431, 'The path and the headers may take 64 KiB together.\n']);
});

test('every session of a POST to /send is looked up, however many header fields it has', async (t) => {
	const { url } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url);
	const last = await subscribe(t, server.ws('/room?last'));
	const names = Array.from({ length: 3_000 }, (_, i) => String(i));
	const answer = await send(server, { 'X-Session': [...names, 'last'] }, 'heard');
	assertJson(answer, 200, { errors: missing(...names), result: 'OK' });
	assert.equal(await last.nextText(), 'heard');
});

/** Messages of several senders to one channel: each sender's in its order, and all clients see one order. */
function assertOneOrder(seen: readonly string[][], senders: readonly string[], count: number): void {
	const [first = []] = seen;
	for (const other of seen) assert.deepEqual(other, first);
	for (const sender of senders) {
		const own = first.filter((text) => text.startsWith(`${sender} `));
		assert.deepEqual(
			own,
			Array.from({ length: count }, (_, i) => `${sender} ${i}`),
			sender,
		);
	}
}

/** One after another: with --auth, the server closes a connection that sends a request before it has the answer to the last. */
async function postAll(server: TestServer, count: number, sender: string): Promise<void> {
	for (let i = 0; i < count; i++) await post(server.port, '/room', `${sender} ${i}`);
}

/** Requests on one connection, in one write. */
function pipelined(count: number, path: string, fields: string, sender: string): string {
	return Array.from({ length: count }, (_, i) => {
		const body = `${sender} ${i}`;
		return `POST ${path} HTTP/1.1\r\nHost: localhost\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
	}).join('');
}

protocol('Messages to a session come in one order, whoever sends them.', async (t) => {
	const { url } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url);
	const count = 100;
	const kinds: ClientKind[] = ['websocket', 'event stream', 'websocket'];
	// One name for three connections, so that there is an order to compare.
	const clients = await Promise.all(kinds.map((kind) => openClient(t, kind, server, '/room?alice')));
	const sender = await subscribe(t, server.ws('/room?bob'));
	const operators = Array.from({ length: 3 }, () => new RawConnection(server.operatorPort));
	for (let i = 0; i < count; i++) sender.send(`websocket ${i}`);
	await Promise.all([
		operators[0]?.write(pipelined(count, '/send', 'X-Session: alice\r\n', 'first')),
		operators[1]?.write(pipelined(count, '/send', 'X-Session: alice\r\nX-Channel: /room\r\n', 'both')),
		operators[2]?.write(pipelined(count, '/send', 'X-Session: bob, alice\r\n', 'second')),
		postAll(server, count, 'post'),
	]);
	const onSession = ['first', 'second', 'both'];
	const onPath = ['websocket', 'post', 'both'];
	const seen = await Promise.all(clients.map((client) => client.texts(6 * count)));
	// `both` comes twice: once for the session, and once for the path.
	const without = (excluded: readonly string[]) =>
		seen.map((texts) => texts.filter((text) => !excluded.includes(text.split(' ')[0] ?? '')));
	assertOneOrder(without([...onPath]), ['first', 'second'], count);
	assertOneOrder(without([...onSession]), ['websocket', 'post'], count);
	for (const texts of seen) {
		const both = texts.filter((text) => text.startsWith('both '));
		assert.deepEqual(
			both.sort(),
			Array.from({ length: count }, (_, i) => [`both ${i}`, `both ${i}`])
				.flat()
				.sort(),
		);
	}
	for (const connection of operators) connection.end();
});
