// --publish-hook: what a client sends is published when a service has judged it.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openStream } from '../support/event-stream.js';
import { post, RawConnection } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { allow, answering, hold, type Question, type Script, startService } from '../support/service.js';
import { handled, subscribe } from '../support/subscriber.js';

async function startJudged(t: TestContext, script: Script, ...flags: string[]) {
	const hook = await startService(t, script);
	const server = await startTestServer(t, '--publish-hook', `${hook.url}?key=1`, ...flags);
	return { hook, server };
}

/** Judges a message by its text. */
function byText(judge: (question: Question, text: string) => void): Script {
	return (question) => void question.text().then((text) => judge(question, text));
}

protocol(
	"With `--publish-hook`, each message of a websocket, POST or PUT is POSTed to that URL before it is published, with `X-Channel`, `X-Real-IP` and, if there is one, the session header; what the operator's listener publishes is not.",
	async (t) => {
		const auth = await startService(t, answering(204, [['X-Session', 'alice']]));
		const { hook, server } = await startJudged(t, hold, '--auth', auth.url, '--binary');
		const path = '/caf%C3%A9//x%20y';
		const alice = await subscribe(t, server.ws(path));
		const messages = [
			['by websocket', 'text/plain; charset=utf-8', 'alice', async () => alice.send('by websocket')],
			['\u0000\u00ff', 'application/octet-stream', 'alice', async () => alice.send(Buffer.from([0, 0xff]))],
			['by POST', 'text/plain; charset=utf-8', undefined, () => post(server.port, path, 'by POST')],
		] as const;
		for (const [text, type, session, publish] of messages) {
			const published = publish();
			const question = await hook.next();
			const body = (await question.body()).toString('latin1');
			assert.deepEqual([question.method, question.url, body], ['POST', '/ask?key=1', text]);
			const fields = ['Content-Type', 'X-Channel', 'X-Real-IP', 'X-Session'].map((name) => question.field(name));
			assert.deepEqual(fields, [type, path, '127.0.0.1', session]);
			// What the operator publishes meanwhile is not judged.
			await post(server.operatorPort, `/channels${path}`, 'sentinel');
			assert.equal(await alice.nextText(), 'sentinel');
			question.answer(204);
			const { data, isBinary } = await alice.next();
			assert.deepEqual([data.toString('latin1'), isBinary], [text, type.startsWith('application')]);
			await published;
		}
		alice.send('');
		assert.equal((await post(server.port, path, '')).headers.get('x-subscribers'), '1');
		assert.equal(hook.asked, 3);
		assert.equal(await metric(server, 'pathcast_publish_hook_messages_total{outcome="published"}'), 3);
	},
);

protocol('A 204 publishes the message, a 200 publishes the body in its place, a 304 or an empty 200 drops it.', async (t) => {
	const script = byText((question, text) => {
		if (text === 'drop') question.answer(304);
		else if (text === 'empty') question.answer(200);
		else if (text === 'replace') question.answer(200, [], 'replaced: é');
		else question.answer(204);
	});
	const { server } = await startJudged(t, script);
	const sender = await subscribe(t, server.ws('/room'));
	const stream = await openStream(t, server, '/room');
	for (const text of ['drop', 'keep', 'empty', 'replace', 'end']) sender.send(text);
	const expected = ['keep', 'replaced: é', 'end'];
	assert.deepEqual(await sender.texts(3), expected);
	assert.deepEqual(await stream.texts(3), expected);
	for (const text of ['drop', 'empty', 'replace', 'keep']) {
		const { status, headers } = await post(server.port, '/room', text);
		assert.deepEqual([status, headers.get('x-subscribers')], [200, '2'], text);
	}
	assert.deepEqual(await sender.texts(2), ['replaced: é', 'keep']);
	const counted = ['published', 'replaced', 'dropped'].map((outcome) =>
		metric(server, `pathcast_publish_hook_messages_total{outcome="${outcome}"}`),
	);
	assert.deepEqual(await Promise.all(counted), [3, 2, 4]);
});

protocol(
	'A 403 closes the websocket with 1008, or refuses the POST with 403; any other answer, or none within `--auth-timeout`, does the same with 1008 or 502, and is logged.',
	async (t) => {
		const scripts: Record<string, Script> = {
			refuse: answering(403, [], 'a secret of the service'),
			'too long': answering(200, [], 'x'.repeat(65_537)),
			'not UTF-8': answering(200, [], Buffer.from([0xff])),
			redirect: answering(302, [['Location', '/other']]),
			broken: answering(500),
			accepted: answering(202),
			silent: hold,
			cut: ({ socket }) => socket.destroy(),
		};
		const judge = byText((question, text) => (scripts[text] ?? allow)(question));
		const { server } = await startJudged(t, judge, '--auth-timeout', '1s');
		const other = await subscribe(t, server.ws('/room'));
		const refuses = async (text: string) => {
			const sender = await subscribe(t, server.ws('/room'));
			for (const message of ['before', text, 'after']) sender.send(message);
			const [{ code, reason }, { status, body }] = await Promise.all([sender.closed, post(server.port, '/room', text)]);
			assert.deepEqual([code, status], [1008, text === 'refuse' ? 403 : 502], text);
			const line = text === 'refuse' ? /does not publish this message/ : /could not find out whether to publish/;
			assert.match(reason, line);
			assert.match(body, line);
		};
		await Promise.all(Object.keys(scripts).map(refuses));
		await post(server.port, '/room', 'end');
		assert.deepEqual(await other.texts(9), [...Object.keys(scripts).map(() => 'before'), 'end']);
		const lines = server.log.filter(({ event }) => event === 'hook');
		assert.ok(lines.length > 0);
		for (const { level, reason, detail } of lines) assert.deepEqual([level, reason, detail !== ''], [40, 'failed', true]);
		const counts = {
			'pathcast_publish_hook_messages_total{outcome="failed"}': 14,
			'pathcast_publish_hook_messages_total{outcome="refused"}': 2,
			'pathcast_disconnects_total{reason="publish_refused"}': 8,
			'pathcast_refusals_total{reason="hook"}': 8,
			pathcast_publish_hook_waiting: 0,
		};
		for (const [name, count] of Object.entries(counts)) assert.equal(await metric(server, name), count, name);
	},
);

protocol(
	'The messages of one client are judged one after another, and published in their order, also those that it sent before it left.',
	async (t) => {
		const { hook, server } = await startJudged(t, hold);
		const sender = await subscribe(t, server.ws('/room'));
		const other = await subscribe(t, server.ws('/room'));
		const reader = await subscribe(t, server.ws('/room'));
		for (let i = 0; i < 3; i++) sender.send(`own ${i}`);
		const first = await hook.next();
		other.send('other');
		const others = await hook.next();
		assert.deepEqual([await first.text(), await others.text()], ['own 0', 'other']);
		await sender.close();
		others.answer(204);
		assert.equal(await reader.nextText(), 'other');
		first.answer(204);
		for (const expected of ['own 1', 'own 2']) {
			const question = await hook.next();
			assert.equal(await question.text(), expected);
			question.answer(204);
		}
		assert.deepEqual(await reader.texts(3), ['own 0', 'own 1', 'own 2']);
		assert.equal(hook.asked, 4);
	},
);

protocol(
	'A websocket that has 128 messages or `--max-backlog` bytes waiting for the hook is closed with 1008 when it sends more.',
	async (t) => {
		const { hook, server } = await startJudged(t, hold);
		const sender = await subscribe(t, server.ws('/room'));
		const reader = await subscribe(t, server.ws('/room'));
		const texts = Array.from({ length: 128 }, (_, i) => `${i}`);
		for (const text of texts) sender.send(text);
		const question = await hook.next();
		await handled(sender);
		assert.equal(await metric(server, 'pathcast_publish_hook_waiting'), 128);
		sender.send('one more');
		assert.equal((await sender.closed).code, 1008);
		// What it sent before is judged and published all the same.
		hook.script = allow;
		question.answer(204);
		assert.deepEqual(await reader.texts(128), texts);
		assert.equal(await metric(server, 'pathcast_publish_hook_messages_total{outcome="busy"}'), 1);

		const narrow = await startJudged(t, hold, '--max-message', '1000', '--max-backlog', '1024');
		const loud = await subscribe(t, narrow.server.ws('/room'));
		const quiet = await subscribe(t, narrow.server.ws('/room'));
		for (let i = 0; i < 2; i++) loud.send('x'.repeat(600));
		assert.equal((await loud.closed).code, 1008);
		quiet.send('x'.repeat(1_000));
		await narrow.hook.take(2);
		assert.equal(quiet.ws.readyState, quiet.ws.OPEN);
	},
);

test('a POST whose client leaves before its judgement is not published', async (t) => {
	const { hook, server } = await startJudged(t, hold);
	const reader = await subscribe(t, server.ws('/room'));
	const connection = new RawConnection(server.port);
	await connection.write('POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\ngone');
	const question = await hook.next();
	connection.end();
	await connection.closed;
	hook.script = allow;
	// The server has heard of it when it has served a later connection.
	await post(server.port, '/elsewhere', 'x');
	question.answer(204);
	await post(server.port, '/room', 'stayed');
	assert.equal(await reader.nextText(), 'stayed');
});

test('a message is judged for the channel that it is published on', async (t) => {
	const auth = await startService(t);
	const { hook, server } = await startJudged(t, hold, '--auth', auth.url);
	const there = await subscribe(t, server.ws('/there'));
	auth.script = answering(204, [
		['X-Rewrite', '/rewritten'],
		['X-Publish', '/there'],
	]);
	const sender = await subscribe(t, server.ws('/room'));
	sender.send('hello');
	const question = await hook.next();
	assert.equal(question.field('X-Channel'), '/there');
	question.answer(204);
	assert.equal(await there.nextText(), 'hello');
});

test('as many messages as --auth-concurrency are judged at once, others wait, and a stop waits for all', async (t) => {
	const { hook, server } = await startJudged(t, hold, '--auth-concurrency', '2');
	const reader = await subscribe(t, server.ws('/room'));
	for (let i = 0; i < 3; i++) {
		const sender = await subscribe(t, server.ws('/room'));
		sender.send(`${i}`);
		await handled(sender);
	}
	const [first, second] = await hook.take(2);
	assert.ok(first && second);
	assert.deepEqual([hook.asked, await metric(server, 'pathcast_publish_hook_waiting')], [2, 3]);
	const stopped = server.stop();
	first.answer(204);
	const third = await hook.next();
	second.answer(204);
	third.answer(204);
	assert.deepEqual((await reader.texts(3)).sort(), ['0', '1', '2']);
	assert.equal((await reader.closed).code, 1012);
	await stopped;
});
