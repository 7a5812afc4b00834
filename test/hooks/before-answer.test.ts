// Between a request and its answer nothing comes in and nothing goes out, also while the server stops.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTo, askedDoors, knock, startHeld } from '../support/doors.js';
import { EventParser } from '../support/event-stream.js';
import { post } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, metricBecomes, startTestServer } from '../support/server.js';
import { allow, answering, hold, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';

protocol('No message reaches a subscriber, or leaves it, before its answer.', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url, '--post', 'admin');
	const publish = (body: string) => post(server.operatorPort, '/channels/room', body);
	const listener = await subscribe(t, server.ws('/room'));
	await service.next();
	service.script = hold;
	for (const [script, hello] of [
		[answering(204), []],
		[answering(200, [['X-Session', 'alice']], 'hello'), ['hello']],
	] as const) {
		const opening = subscribe(t, server.ws('/room'));
		const socketQuestion = await service.next();
		const stream = knock(server.port, 'event stream');
		const streamQuestion = await service.next();
		assert.equal((await publish('before')).headers.get('x-subscribers'), '1');
		script(socketQuestion);
		const subscriber = await opening;
		script(streamQuestion);
		await stream.arrived('\n\n');
		for (const text of hello) await stream.arrived(`data: ${text}\n\n`);
		assert.equal((await publish('after')).headers.get('x-subscribers'), '3');
		await stream.arrived('data: after\n\n');
		assert.deepEqual(await subscriber.texts(hello.length + 1), [...hello, 'after']);
		stream.end();
		const texts: string[] = [];
		new EventParser(({ data }) => texts.push(data)).feed(Buffer.from(textOf(await stream.closed)));
		assert.deepEqual(texts, [...hello, 'after']);
		await subscriber.close();
		await metricBecomes(server, 'pathcast_subscribers', 1);
		assert.deepEqual(await listener.texts(2), ['before', 'after']);
	}
});

/** The text of an answer that came by chunks. */
function textOf(answer: string): string {
	const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
	return body.replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, '');
}

test('a client that is denied hears nothing of the channel, and one that waits never does', async (t) => {
	const { service, server, listener } = await startHeld(t);
	const pending = [knock(server.port, 'websocket'), knock(server.port, 'event stream')];
	const questions = await service.take(2);
	service.script = allow;
	await post(server.port, '/room', 'secret');
	assert.equal(await listener.nextText(), 'secret');
	for (const question of questions) question.answer(401, [], 'no');
	for (const connection of pending) {
		assert.equal((await connection.answer()).status, 401);
		connection.end();
		assert.doesNotMatch(await connection.closed, /secret/);
	}
	assert.equal(await metric(server, 'pathcast_subscribers'), 1);
	assert.equal(await metric(server, 'pathcast_connections_opened_total'), 1);
});

protocol(
	'While the server stops, clients that wait to subscribe get 503 at once; POSTs and PUTs are finished first, for up to five seconds.',
	async (t) => {
		const { service, server, listener } = await startHeld(t);
		const pending = askedDoors.map((door) => knock(server.port, door));
		const questions = await service.take(3);
		const posting = questions.find((question) => question.field('x-original-action') === 'publish');
		const stopped = server.stop();
		for (const connection of pending.slice(0, 2)) {
			const { status, headers } = await connection.answer();
			assert.deepEqual([status, headers.has('retry-after'), headers.get('connection')], [503, true, 'close']);
			await connection.closed;
		}
		for (const question of questions) if (question !== posting) await question.takenBack;
		posting?.answer(204);
		const answer = await pending[2]?.answer();
		assert.deepEqual(
			[answer?.status, answer?.headers.get('x-subscribers'), answer?.headers.get('connection')],
			[200, '1', 'close'],
		);
		assert.deepEqual(await listener.textsUntilClosed(1012), ['hello']);
		await stopped;
	},
);

test('a POST whose answer does not come holds up a stop for five seconds', async (t) => {
	const service = await startService(t, hold);
	const server = await startTestServer(t, '--auth', service.url, '--auth-timeout', '60s');
	const pending = knock(server.port, 'POST');
	await service.next();
	const startMs = performance.now();
	await server.stop();
	const elapsedMs = performance.now() - startMs;
	assert.ok(elapsedMs >= 4_990 && elapsedMs < 9_000, `${elapsedMs} ms`);
	assert.equal(await pending.closed, '');
});

test('a stop asks about nobody who waits to subscribe, and still asks about a POST', async (t) => {
	const service = await startService(t, hold);
	const server = await startTestServer(t, '--auth', service.url, '--auth-concurrency', '1');
	const first = knock(server.port, 'websocket', '/first');
	await service.next();
	const waiting = [];
	for (const door of [...askedDoors, ...askedDoors]) {
		waiting.push(knock(server.port, door, `/${waiting.length}`));
		await metricBecomes(server, 'pathcast_auth_waiting', waiting.length);
	}
	service.script = allow;
	const stopped = server.stop();
	const statuses = (await Promise.all([first, ...waiting].map((connection) => connection.answer()))).map(({ status }) => status);
	assert.deepEqual(statuses, [503, 503, 503, 200, 503, 503, 200]);
	await stopped;
	assert.equal(service.asked, 3);
	assert.deepEqual(
		(await service.take(2)).map((question) => question.field('x-original-uri')),
		['/2', '/5'],
	);
});

test('a stop with --drain-delay lets nobody subscribe who was asked about before', async (t) => {
	const service = await startService(t, hold);
	const server = await startTestServer(t, '--auth', service.url, '--drain-delay', '1s');
	const pending = knock(server.port, 'websocket');
	const question = await service.next();
	const stopped = server.stop();
	question.answer(204);
	assert.equal((await pending.answer()).status, 503);
	service.script = answering(204);
	// It still listens, and serves what subscribes to nothing.
	assert.equal((await answerTo(server.port, 'event stream')).status, 503);
	assert.equal((await answerTo(server.port, 'POST')).status, 200);
	assert.equal(service.asked, 2);
	await stopped;
});
