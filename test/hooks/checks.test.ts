// Which requests the authorisation service is asked about, and what is checked beside it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTo, askedDoors, knock } from '../support/doors.js';
import { openStream } from '../support/event-stream.js';
import { post, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { allow, answering, hold, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';

protocol(
	'The path and the origin are checked before the question, stopping and the limits before it and after it.',
	async (t) => {
		const service = await startService(t, hold);
		const flags = ['--max-connections', '1', '--origin', 'https://example.com', '--max-path', '10'];
		const server = await startTestServer(t, '--auth', service.url, ...flags);
		for (const door of askedDoors) {
			assert.equal((await answerTo(server.port, door, '/%ff')).status, 400, door);
			assert.equal((await answerTo(server.port, door, '/123456789012')).status, 400, door);
			const { status, body } = await answerTo(server.port, door, '/room', ['Origin: https://other.example']);
			assert.deepEqual([status, /--origin/.test(body)], [403, true], door);
		}
		assert.equal(service.asked, 0);

		// Both find room before the question, and one of them finds it after.
		const pending = [knock(server.port, 'websocket'), knock(server.port, 'event stream')] as const;
		const questions = await service.take(2);
		for (const question of questions) question.answer(204);
		const statuses = (await Promise.all(pending.map((connection) => connection.answer()))).map(({ status }) => status);
		assert.equal(statuses.filter((status) => status === 503).length, 1, String(statuses));
		assert.equal(await metric(server, 'pathcast_subscribers'), 1);
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="connections"}'), 1);
		// Now there is none before.
		for (const door of ['websocket', 'event stream'] as const) assert.equal((await answerTo(server.port, door)).status, 503);
		assert.equal(service.asked, 2);
		for (const connection of pending) connection.end();
	},
);

test('the limits of a channel hold for the channel that the service names', async (t) => {
	const service = await startService(t, answering(204, [['X-Rewrite', '/full']]));
	const server = await startTestServer(t, '--auth', service.url, '--max-subscribers', '1');
	await subscribe(t, server.ws('/me'));
	for (const door of ['websocket', 'event stream'] as const) {
		const { status, headers } = await answerTo(server.port, door, '/me');
		assert.deepEqual([status, headers.get('retry-after')], [503, '5'], door);
	}
	assert.equal(await metric(server, 'pathcast_refusals_total{reason="subscribers"}'), 2);
});

protocol(
	'With `--auth`, the server asks that URL by one GET before an upgrade, an event stream, a POST and a PUT; the test page, OPTIONS and, with `--post admin`, POST and PUT ask nothing.',
	async (t) => {
		const service = await startService(t, answering(403));
		const server = await startTestServer(t, '--auth', service.url);
		let asked = 0;
		for (const door of askedDoors) {
			assert.equal((await answerTo(server.port, door)).status, 403);
			assert.equal((await service.next()).method, 'GET');
			assert.equal(service.asked, ++asked);
		}
		assert.equal((await request(server.port, { method: 'PUT', path: '/room', body: 'x' })).status, 403);
		assert.equal(service.asked, ++asked);

		const only = await startTestServer(t, '--auth', service.url, '--post', 'admin');
		for (const port of [server.port, only.port]) {
			assert.equal((await request(port, { path: '/room' })).status, 200);
			assert.equal((await request(port, { method: 'HEAD', path: '/room' })).status, 200);
			assert.equal((await request(port, { method: 'OPTIONS', path: '/room' })).status, 204);
			assert.equal((await request(port, { method: 'DELETE', path: '/room' })).status, 405);
		}
		assert.equal((await post(only.port, '/room', 'x')).status, 405);
		assert.equal((await request(only.port, { method: 'PUT', path: '/room', body: 'x' })).status, 405);
		assert.equal(service.asked, asked);

		service.script = allow;
		const stream = await openStream(t, only, '/room');
		assert.equal(service.asked, ++asked);
		const published = await post(only.operatorPort, '/channels/room', 'from the operator');
		assert.equal(published.headers.get('x-subscribers'), '1');
		assert.equal((await stream.next()).data, 'from the operator');
		assert.equal((await request(only.operatorPort, { path: '/stats' })).status, 200);
		assert.equal(service.asked, asked);
	},
);

protocol('A CORS preflight allows `Authorization` too.', async (t) => {
	const service = await startService(t);
	const preflight = async (...flags: string[]) => {
		const server = await startTestServer(t, '--origin', 'https://example.com', ...flags);
		const headers = { Origin: 'https://example.com', 'Access-Control-Request-Method': 'POST' };
		const answer = await request(server.port, { method: 'OPTIONS', path: '/room', headers });
		assert.equal(answer.status, 204);
		return answer.headers.get('access-control-allow-headers');
	};
	assert.equal(await preflight('--auth', service.url), 'Content-Type, If-Match, Authorization');
	assert.equal(await preflight(), 'Content-Type, If-Match');
	assert.equal(service.asked, 0);
});
