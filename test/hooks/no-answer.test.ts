// Everything that is no answer keeps a client out.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type AskedDoor, answerTo, askedDoors, openStatus } from '../support/doors.js';
import { freePort } from '../support/free-port.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import {
	allow,
	answering,
	dripping,
	type HeaderLines,
	hold,
	type Script,
	slowly,
	startService,
	writing,
} from '../support/service.js';
import { subscribe } from '../support/subscriber.js';

type Outcome = 'malformed' | 'unreachable' | 'timeout';

const head = (lines: string) => `HTTP/1.1 200 OK\r\nX-Session: alice\r\n${lines}\r\n`;
const withHeaders = (...headers: HeaderLines[number][]): Script => answering(204, headers);
const session = (value: string) => answering(200, [['X-Session', value]], 'Hello');
const hello = (body: string | Buffer) => answering(200, [['X-Session', 'alice']], body);
const long = 'x'.repeat(10_000_000);
const tooLong = `/${'x'.repeat(256)}`;

const hostile: readonly (readonly [what: string, outcome: Outcome, script: Script])[] = [
	['another status of success', 'malformed', answering(201)],
	['an empty 200', 'malformed', answering(200)],
	['a page of a wrong virtual host', 'malformed', answering(200, [['Content-Type', 'text/html']], '<h1>It works!</h1>')],
	[
		'a redirect',
		'malformed',
		answering(302, [
			['Location', '/elsewhere'],
			['X-Session', 'alice'],
		]),
	],
	['a 304', 'malformed', writing('HTTP/1.1 304 Not Modified\r\nX-Session: alice\r\n\r\n')],
	['a 400', 'malformed', answering(400, [['X-Session', 'alice']])],
	['a 500', 'malformed', answering(500, [['X-Session', 'alice']], 'x')],
	['a status of no meaning', 'malformed', answering(999)],
	['two sessions', 'malformed', withHeaders(['X-Session', 'alice'], ['X-Session', 'alice'])],
	['two X-Rewrite', 'malformed', withHeaders(['X-Rewrite', '/a'], ['x-rewrite', '/a'])],
	['two X-Publish', 'malformed', withHeaders(['X-Publish', 'none'], ['X-Publish', 'none'])],
	['two X-Max-Age', 'malformed', withHeaders(['X-Max-Age', '5'], ['X-Max-Age', '5'])],
	...['', ' ', 'a', 'http://x/a', '/a?b', '/a#b', '/a b', '/%', '/%4', '/%ff', '/%C0%AF', '/\xff', '/a, /b', tooLong].map(
		(value) => [`X-Rewrite: ${value}`, 'malformed', withHeaders(['X-Rewrite', value])] as const,
	),
	...['', 'None', 'none, none', 'all', '/%', '/a?b', tooLong].map(
		(value) => [`X-Publish: ${value}`, 'malformed', withHeaders(['X-Publish', value])] as const,
	),
	...['', '0', '-1', '+5', '1.5', '1e3', '0x5', 'soon', '5, 5', '5s', '99999999999', '\xb2'].map(
		(value) => [`X-Max-Age: ${value}`, 'malformed', withHeaders(['X-Max-Age', value])] as const,
	),
	...['', 'a,b', '/a', 'a b', 'alic\xe9', '\xc3\xa9', 'x'.repeat(257)].map(
		(value) => [`X-Session: ${value}`, 'malformed', session(value)] as const,
	),
	['bytes that are no HTTP', 'malformed', writing('SSH-2.0-OpenSSH_9.2p1\r\n')],
	['bytes that are no text', 'malformed', writing(Buffer.from([0x16, 0x03, 0x01, 0xff, 0x00]))],
	['a status that is no number', 'malformed', writing('HTTP/1.1 yes OK\r\n\r\n')],
	['a Content-Length that is no number', 'malformed', writing(head('Content-Length: x\r\n'))],
	['two Content-Lengths', 'malformed', writing(`${head('Content-Length: 1\r\nContent-Length: 2\r\n')}xx`)],
	['header fields over 16 KiB', 'malformed', answering(204, [['X', 'x'.repeat(17_000)]])],
	['a field that never ends', 'malformed', writing(`HTTP/1.1 204 No Content\r\nX: ${long}`)],
	['half a status line, and the end', 'unreachable', writing('HTTP/1.1 20', 'close')],
	['half a header, and the end', 'unreachable', writing('HTTP/1.1 204 No Content\r\nX-Sess', 'close')],
	['half a body, and the end', 'unreachable', writing(`${head('Content-Length: 10\r\n')}Hel`, 'close')],
	['half a chunk, and the end', 'unreachable', writing(`${head('Transfer-Encoding: chunked\r\n')}5\r\nHel`, 'close')],
	['the end', 'unreachable', ({ socket }) => socket.end()],
	['a reset', 'unreachable', ({ socket }) => socket.resetAndDestroy()],
	[
		'a reset after the head',
		'unreachable',
		(question) => question.socket.write(head('Content-Length: 9\r\n'), () => question.socket.resetAndDestroy()),
	],
	['nothing but 103 Early Hints, and the end', 'unreachable', writing('HTTP/1.1 103 Early Hints\r\n\r\n', 'close')],
];

const badHellos: readonly (readonly [what: string, script: Script])[] = [
	['a hello that is not UTF-8', hello(Buffer.from([0x61, 0xff]))],
	['a hello over --max-message', hello('x'.repeat(65_537))],
	['a hello of 10 MB', hello(long)],
	['10 MB without an end', writing(`${head('Transfer-Encoding: chunked\r\n')}fffffff\r\n${long}`)],
];

for (const [what, outcome, script] of hostile) {
	test(`a client is kept out if the service answers with ${what.slice(0, 40).replaceAll('\xff', '\\xff')}`, async (t) => {
		const service = await startService(t, script);
		await refusesAll(t, service.url, outcome);
		assert.ok(service.asked >= askedDoors.length);
	});
}

for (const [what, script] of badHellos) {
	test(`a subscriber is kept out if the service answers with ${what}, which a POST does not mind`, async (t) => {
		const service = await startService(t, script);
		await refusesAll(t, service.url, 'malformed', [], ['websocket', 'event stream']);
		const server = await startTestServer(t, '--auth', service.url);
		assert.equal((await answerTo(server.port, 'POST')).status, 200);
	});
}

/** All these doors are closed, with a line in the log, and in the metrics. A server whose service answers well again opens them. */
async function refusesAll(
	t: TestContext,
	url: string,
	outcome: Outcome,
	flags: readonly string[] = [],
	doors: readonly AskedDoor[] = askedDoors,
): Promise<void> {
	const server = await startTestServer(t, '--auth', url, '--auth-concurrency', '1', ...flags);
	for (const door of doors) {
		const { status, headers, body } = await answerTo(server.port, door);
		assert.equal(status, 502, door);
		assert.equal(body, "The authorisation service of this server gave no usable answer; the server's log says why.\n");
		assert.equal(headers.get('content-type'), 'text/plain; charset=utf-8');
	}
	const warnings = server.log.filter(({ event }) => event === 'hook');
	assert.ok(warnings.length >= 1 && warnings.length <= doors.length);
	for (const { level, reason, detail } of warnings) {
		assert.deepEqual([level, reason], [40, outcome], String(detail));
		assert.match(String(detail), /\w/);
	}
	assert.equal(await metric(server, `pathcast_auth_questions_total{outcome="${outcome}"}`), doors.length);
	assert.equal(await metric(server, 'pathcast_refusals_total{reason="auth_failed"}'), doors.length);
	assert.equal(await metric(server, 'pathcast_subscribers'), 0);
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 0);
	assert.equal(await metric(server, 'pathcast_auth_waiting'), 0);
}

protocol(
	"Any other answer is refused with 502 and logged: another status, a redirect, a 200 without the session header, a repeated or malformed header, a body that is too long or not UTF-8, half an answer, none within `--auth-timeout` of the request's arrival, a service that does not run.",
	async (t) => {
		// Each kind of answer has a test above. These come too late, or from nowhere.
		const service = await startService(t);
		for (const script of [
			hold,
			dripping(head('Content-Length: 5\r\n'), 1_000),
			dripping(`${head('Content-Length: 90\r\n')}x`, 100),
		]) {
			service.script = script;
			const startMs = performance.now();
			await refusesAll(t, service.url, 'timeout', ['--auth-timeout', '1s']);
			const elapsedMs = performance.now() - startMs;
			assert.ok(elapsedMs >= 2_990 && elapsedMs < 9_000, `${elapsedMs} ms`);
		}
		await refusesAll(t, `http://127.0.0.1:${await freePort()}/`, 'unreachable');
		await refusesAll(t, 'http://service.invalid/', 'unreachable');
		await refusesAll(t, service.url.replace('http:', 'https:'), 'unreachable');
		// A service that takes connections, and says nothing at all.
		const silent = createServer(() => {});
		silent.listen(0, '127.0.0.1');
		await once(silent, 'listening');
		t.after(() => silent.close());
		const address = silent.address();
		assert.ok(address !== null && typeof address === 'object');
		await refusesAll(t, `http://127.0.0.1:${address.port}/`, 'timeout', ['--auth-timeout', '1s']);
	},
);

test('a slow answer within --auth-timeout admits the client, in one piece or byte by byte', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url);
	for (const script of [dripping(`${head('Content-Length: 5\r\n')}Hello`, 2), slowly(allow, 50)]) {
		service.script = script;
		for (const door of askedDoors) assert.equal((await answerTo(server.port, door)).status, openStatus[door]);
	}
});

test('the time that a question waits for its turn counts', async (t) => {
	const service = await startService(t, hold);
	const server = await startTestServer(t, '--auth', service.url, '--auth-concurrency', '1', '--auth-timeout', '1s');
	const startMs = performance.now();
	const answers = await Promise.all(askedDoors.map((door) => answerTo(server.port, door)));
	assert.deepEqual(
		answers.map(({ status }) => status),
		[502, 502, 502],
	);
	const elapsedMs = performance.now() - startMs;
	assert.ok(elapsedMs >= 990 && elapsedMs < 1_900, `${elapsedMs} ms`);
	assert.equal(await metric(server, 'pathcast_auth_questions_total{outcome="timeout"}'), 3);
	service.script = allow;
	for (const door of askedDoors) assert.equal((await answerTo(server.port, door)).status, openStatus[door]);
});

test('a flood of useless answers makes one line in the log each second', async (t) => {
	const service = await startService(t, answering(500));
	const server = await startTestServer(t, '--auth', service.url);
	const startMs = performance.now();
	for (let i = 0; i < 100; i++) await answerTo(server.port, 'POST');
	const seconds = Math.ceil((performance.now() - startMs) / 1_000);
	const lines = server.log.filter(({ event }) => event === 'hook');
	assert.ok(lines.length >= 1 && lines.length <= seconds, `${lines.length} lines in ${seconds} s`);
	assert.equal(lines[0]?.detail, 'status 500');
	assert.equal(await metric(server, 'pathcast_auth_questions_total{outcome="malformed"}'), 100);
	service.script = allow;
	const subscriber = await subscribe(t, server.ws('/room'));
	assert.equal((await answerTo(server.port, 'POST')).headers.get('x-subscribers'), '1');
	assert.equal(await subscriber.nextText(), 'hello');
});

test('bytes after an answer are no answer to the next question', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url, '--auth-concurrency', '1');
	const ok = 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n';
	for (const more of ['OK', ok, `${ok}\r\n`, `${ok}\r\n`.repeat(3)]) {
		for (let i = 0; i < 5; i++) {
			service.script = writing(`${ok}\r\n${more}`);
			const allowed = answerTo(server.port, 'POST');
			const question = await service.next();
			service.script = hold;
			const next = answerTo(server.port, 'POST');
			assert.equal((await allowed).status, 200, JSON.stringify(more));
			const nextQuestion = await service.next();
			assert.notEqual(nextQuestion.socket, question.socket, JSON.stringify(more));
			nextQuestion.answer(403);
			assert.equal((await next).status, 403, JSON.stringify(more));
		}
	}
});
