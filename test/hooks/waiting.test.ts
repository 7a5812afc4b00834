// How many questions are out at once, and what becomes of the others.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { answerTo, askedDoors, knock, knockMany, openStatus, requestFor } from '../support/doors.js';
import { type RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, metricBecomes, startTestServer } from '../support/server.js';
import { allow, answering, hold, slowly, startService } from '../support/service.js';

const waitingGauge = 'pathcast_auth_waiting';

protocol(
	'At most `--auth-concurrency` questions are out at once; 4,096 more wait in their order, and further requests get 503 with `Retry-After`.',
	async (t) => {
		const service = await startService(t, hold);
		const server = await startTestServer(t, '--auth', service.url, '--auth-concurrency', '2', '--auth-timeout', '60s');
		const connections: RawConnection[] = [];
		// One after the other, and then as many as may wait.
		for (let nth = 0; nth < 6; nth++) {
			connections.push(knock(server.port, askedDoors[nth % 3] ?? 'POST', `/${nth}`));
			await metricBecomes(server, waitingGauge, Math.max(0, nth - 1));
		}
		connections.push(...(await knockMany(server.port, 4_092, (nth) => requestFor(askedDoors[nth % 3] ?? 'POST'))));
		await metricBecomes(server, waitingGauge, 4_096);
		for (const door of askedDoors) {
			const { status, headers, body } = await answerTo(server.port, door);
			assert.deepEqual([status, headers.get('retry-after')], [503, '5'], door);
			assert.match(body, /^Too many requests wait for the authorisation service/);
		}
		assert.equal(await metric(server, 'pathcast_auth_questions_total{outcome="busy"}'), 3);
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="auth_busy"}'), 3);
		assert.equal(service.asked, 2);

		// As many as are answered go out, in their order.
		const [first, second] = await service.take(2);
		assert.ok(first && second);
		assert.deepEqual([first, second].map((question) => question.field('x-original-uri')).sort(), ['/0', '/1']);
		second.answer(204);
		const third = await service.next();
		third.answer(204);
		const fourth = await service.next();
		fourth.answer(403);
		const fifth = await service.next();
		assert.deepEqual(
			[third, fourth, fifth].map((question) => question.field('x-original-uri')),
			['/2', '/3', '/4'],
		);
		assert.equal(await metric(server, waitingGauge), 4_093);
		for (const connection of connections) connection.end();
		await metricBecomes(server, waitingGauge, 0);
	},
);

test('4,000 clients that come at once all get in, with a service that takes 50 ms, over connections that are kept', async (t) => {
	const service = await startService(t, slowly(allow, 50));
	const server = await startTestServer(t, '--auth', service.url, '--auth-timeout', '60s');
	const connections = await knockMany(server.port, 4_000, (nth) => requestFor(askedDoors[nth % 2] ?? 'POST', `/${nth % 10}`));
	const answers = await Promise.all(connections.map((connection) => connection.answer()));
	assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([101, 200]));
	assert.equal(await metric(server, 'pathcast_subscribers'), 4_000);
	assert.equal(service.asked, 4_000);
	assert.ok(service.connections <= 256, `${service.connections} connections`);
	for (const connection of connections) connection.end();
	await metricBecomes(server, 'pathcast_subscribers', 0);
});

test('of 5,000 clients that come at once, none gets in that the service does not allow, and each has an answer', async (t) => {
	const service = await startService(t, slowly(answering(403), 50));
	const server = await startTestServer(t, '--auth', service.url, '--auth-timeout', '60s');
	const connections = await knockMany(server.port, 5_000, (nth) => requestFor(askedDoors[nth % 3] ?? 'POST'));
	const answers = await Promise.all(connections.map((connection) => connection.answer()));
	const [denied, busy] = [403, 503].map((status) => answers.filter((answer) => answer.status === status).length);
	assert.equal((denied ?? 0) + (busy ?? 0), 5_000);
	assert.equal(await metric(server, 'pathcast_auth_questions_total{outcome="denied"}'), denied);
	assert.equal(await metric(server, 'pathcast_auth_questions_total{outcome="busy"}'), busy);
	assert.equal(service.asked, denied);
	for (const connection of connections) connection.end();
});

test('questions one after another take one connection to the service', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url);
	for (const status of [204, 401, 500, 200]) {
		service.script = answering(status, [['X-Session', 'alice']], status === 204 ? '' : 'body');
		for (const door of askedDoors) await answerTo(server.port, door);
	}
	assert.deepEqual([service.asked, service.connections], [12, 1]);
});

test('a connection that the service closed since the last question does no harm, and a restarted service is asked again', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url, '--auth-concurrency', '3');
	for (let round = 0; round < 20; round++) {
		const answers = await Promise.all(askedDoors.map((door) => answerTo(server.port, door)));
		assert.deepEqual(
			answers.map(({ status }) => status),
			askedDoors.map((door) => openStatus[door]),
		);
		// The server may or may not have noticed when it asks next.
		service.hangUp();
	}
	assert.equal(await metric(server, 'pathcast_auth_questions_total{outcome="allowed"}'), 60);
});

test('a service that closes each connection when the next question comes over it is asked once more, and then no answer counts', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url);
	assert.equal((await answerTo(server.port, 'POST')).status, 200);
	// Once, as if the connection had been closed just before.
	service.script = ({ socket }) => {
		service.script = allow;
		socket.destroy();
	};
	assert.equal((await answerTo(server.port, 'POST')).status, 200);
	assert.equal(service.asked, 3);
	service.script = ({ socket }) => socket.destroy();
	assert.equal((await answerTo(server.port, 'POST')).status, 502);
	assert.equal(service.asked, 5);
});

test('questions that were taken back while their connection is being made keep their places until it has failed', async (t) => {
	// A process that is stopped accepts nothing: when its backlog is full, the system answers no further connection.
	const silent = spawn(process.execPath, [
		'-e',
		"require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () { console.log(this.address().port) })",
	]);
	t.after(() => silent.kill('SIGKILL'));
	const [line] = await once(silent.stdout, 'data');
	const port = Number(line);
	silent.kill('SIGSTOP');
	const fillers = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').on('error', () => {}));
	t.after(() => fillers.map((filler) => filler.destroy()));
	await once(fillers[0] ?? assert.fail(), 'connect');

	const server = await startTestServer(
		t,
		'--auth',
		`http://127.0.0.1:${port}/`,
		'--auth-concurrency',
		'2',
		'--auth-timeout',
		'60s',
	);
	const cancelled = 'pathcast_auth_questions_total{outcome="cancelled"}';
	for (let i = 1; i <= 2; i++) {
		const leaving = knock(server.port, 'websocket');
		// The server has asked about it when it has served a later request.
		await leaving.write('');
		await request(server.port, {});
		leaving.end();
		await metricBecomes(server, cancelled, i);
	}
	const next = knock(server.port, 'websocket');
	await metricBecomes(server, 'pathcast_auth_waiting', 1);
	next.end();
	await metricBecomes(server, cancelled, 3);
	assert.equal(await metric(server, 'pathcast_auth_waiting'), 0);
});
