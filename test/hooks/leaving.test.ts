// What a client does that does not wait for the answer of the authorisation service.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedDoors, knock, openStatus, requestFor, startHeld } from '../support/doors.js';
import { post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, metricBecomes, startTestServer, type TestServer } from '../support/server.js';
import { allow, hold, startService } from '../support/service.js';

const cancelled = 'pathcast_auth_questions_total{outcome="cancelled"}';

/** Shows that nothing is left that a stop would wait for. */
async function stopsAtOnce(server: TestServer): Promise<void> {
	assert.equal(await metric(server, 'pathcast_auth_waiting'), 0);
	const startMs = performance.now();
	await server.stop();
	const elapsedMs = performance.now() - startMs;
	assert.ok(elapsedMs < 3_000, `the stop took ${elapsedMs} ms`);
}

protocol(
	'A client that leaves takes its question back; a second request before the answer ends its connection, and a frame before it is not published.',
	async (t) => {
		const { service, server, listener } = await startHeld(t);
		for (const [nth, door] of askedDoors.entries()) {
			const leaving = knock(server.port, door);
			const question = await service.next();
			leaving.end();
			await question.takenBack;
			await metricBecomes(server, cancelled, 2 * nth + 1);

			const impatient = knock(server.port, door);
			const first = await service.next();
			void impatient.write(requestFor('POST'));
			assert.equal(await impatient.closed, '');
			await first.takenBack;
			await metricBecomes(server, cancelled, 2 * nth + 2);
		}

		const early = knock(server.port, 'websocket');
		const question = await service.next();
		await early.write('\x81\x85\0\0\0\0frame');
		// The server has read the frame when it answers this.
		assert.equal((await request(server.port, { path: '/room' })).status, 200);
		question.answer(204);
		service.script = allow;
		assert.equal((await post(server.port, '/room', 'sentinel')).status, 200);
		assert.equal(await listener.nextText(), 'sentinel');
		early.end();
		await stopsAtOnce(server);
	},
);

test('a client that leaves while its question waits for its turn is never asked about', async (t) => {
	const service = await startService(t, hold);
	const server = await startTestServer(t, '--auth', service.url, '--auth-concurrency', '1');
	const first = knock(server.port, 'websocket');
	const out = await service.next();
	const waiting = [];
	for (const door of askedDoors) {
		waiting.push(knock(server.port, door));
		await metricBecomes(server, 'pathcast_auth_waiting', waiting.length);
	}
	const last = knock(server.port, 'POST', '/last');
	await metricBecomes(server, 'pathcast_auth_waiting', waiting.length + 1);
	for (const connection of waiting) connection.end();
	await metricBecomes(server, cancelled, waiting.length);
	assert.equal(await metric(server, 'pathcast_auth_waiting'), 1);
	out.answer(204);
	const next = await service.next();
	assert.equal(next.field('x-original-uri'), '/last');
	next.answer(204);
	assert.equal((await last.answer()).status, 200);
	assert.equal((await first.answer()).status, 101);
	assert.equal(service.asked, 2);
	for (const connection of [first, last]) connection.end();
	await stopsAtOnce(server);
});

test('clients that leave make room: 20 times as many as may be asked about at once leave, and the next one gets in', async (t) => {
	const service = await startService(t, hold);
	const server = await startTestServer(t, '--auth', service.url, '--auth-concurrency', '4');
	for (let i = 0; i < 20; i++) {
		const leaving = Array.from({ length: 4 }, (_, nth) => knock(server.port, askedDoors[nth % 3] ?? 'POST'));
		const questions = await service.take(4);
		for (const connection of leaving) connection.end();
		await Promise.all(questions.map(({ takenBack }) => takenBack));
	}
	await metricBecomes(server, cancelled, 80);
	service.script = allow;
	for (const door of askedDoors) {
		const connection = knock(server.port, door);
		assert.equal((await connection.answer()).status, openStatus[door]);
		connection.end();
	}
	await stopsAtOnce(server);
});

// Each of these leaves at another moment of a POST.
const head = (headers: string) => `POST /room HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
for (const [what, bytes, isAnswered] of [
	['before any of its body, and before the answer', head('Content-Length: 9\r\n'), false],
	['before the end of its body, and before the answer', `${head('Content-Length: 9\r\n')}half`, false],
	['after its body, and before the answer', `${head('Content-Length: 4\r\n')}full`, false],
	['before the end of its chunks, and before the answer', `${head('Transfer-Encoding: chunked\r\n')}4\r\nhalf\r\n`, false],
	[
		'while a body that is too long is discarded, and before the answer',
		head('Connection: close\r\nContent-Length: 99999\r\n'),
		false,
	],
	['before any of its body, and after the answer', head('Content-Length: 9\r\n'), true],
	['before the end of its body, and after the answer', `${head('Content-Length: 9\r\n')}half`, true],
	['before the end of its chunks, and after the answer', `${head('Transfer-Encoding: chunked\r\n')}4\r\nhalf\r\n`, true],
	[
		'while a body that is too long is discarded, and after the answer',
		head('Connection: close\r\nContent-Length: 99999\r\n'),
		true,
	],
] as const) {
	test(`a POST whose client leaves ${what}, publishes nothing and holds up no stop`, async (t) => {
		const { service, server, listener } = await startHeld(t);
		const leaving = new RawConnection(server.port);
		await leaving.write(bytes);
		const question = await service.next();
		if (isAnswered) {
			question.answer(204);
			await metricBecomes(server, 'pathcast_auth_questions_total{outcome="allowed"}', 2);
		}
		leaving.end();
		if (!isAnswered) {
			await question.takenBack;
			await metricBecomes(server, cancelled, 1);
		}
		service.script = allow;
		await post(server.port, '/room', 'sentinel');
		assert.equal(await listener.nextText(), 'sentinel');
		assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 1);
		await stopsAtOnce(server);
	});
}
