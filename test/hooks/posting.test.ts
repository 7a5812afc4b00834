// A POST whose body comes while its question is out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTo, askedDoors } from '../support/doors.js';
import { openStream } from '../support/event-stream.js';
import { RawConnection, request } from '../support/http.js';
import { metric, metricBecomes, startTestServer } from '../support/server.js';
import { allow, answering, hold, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';

const allowed = 'pathcast_auth_questions_total{outcome="allowed"}';
const head = (headers: string) => `POST /room HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
const long = 'x'.repeat(65_537);
const full = 'y'.repeat(65_536);

// Each in two pieces: what comes with the head, and the rest.
for (const [what, pieces, status, message] of [
	['with a Content-Length', [`${head('Content-Length: 10\r\n')}first`, 'later'], 200, 'firstlater'],
	['by chunks', [`${head('Transfer-Encoding: chunked\r\n')}5\r\nfirst\r\n`, '5\r\nlater\r\n0\r\n\r\n'], 200, 'firstlater'],
	['of --max-message', [`${head('Content-Length: 65536\r\n')}y`, full.slice(1)], 200, full],
	['that is empty', [head('Content-Length: 0\r\n'), ''], 200, undefined],
	['that is empty, by chunks', [head('Transfer-Encoding: chunked\r\n'), '0\r\n\r\n'], 200, undefined],
	['that has no length', [head(''), ''], 200, undefined],
	['that is too long by its Content-Length', [head('Content-Length: 65537\r\n'), long], 413, undefined],
	['that is too long, and the last', [head('Content-Length: 65537\r\nConnection: close\r\n'), long], 413, undefined],
	[
		'that is too long, by chunks',
		[`${head('Transfer-Encoding: chunked\r\n')}1\r\nx\r\n`, `10001\r\n${long}\r\n0\r\n\r\n`],
		413,
		undefined,
	],
	['that is not UTF-8', [`${head('Content-Length: 2\r\n')}a`, '\xff'], 400, undefined],
	['of a coding', [`${head('Content-Length: 2\r\nContent-Encoding: gzip\r\n')}a`, 'b'], 415, undefined],
	['for a channel with subscribers', [`${head('Content-Length: 2\r\nIf-Match: *\r\n')}a`, 'b'], 200, 'ab'],
] as const) {
	for (const order of ['the body first', 'the answer first'] as const) {
		test(`a POST with a body ${what} is answered with ${status}, ${order}`, async (t) => {
			const service = await startService(t);
			const server = await startTestServer(t, '--auth', service.url);
			const [socket, stream] = [await subscribe(t, server.ws('/room')), await openStream(t, server, '/room')];
			await service.take(2);
			service.script = hold;
			const connection = new RawConnection(server.port);
			await connection.write(pieces[0]);
			const question = await service.next();
			if (order === 'the answer first') {
				question.answer(204);
				await metricBecomes(server, allowed, 3);
			}
			const writing = connection.write(pieces[1]);
			if (order === 'the body first') {
				await writing;
				// The server has read it when it answers this.
				assert.equal((await request(server.port, { path: '/room' })).status, 200);
				assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 0);
				question.answer(204);
			}
			const answer = await connection.answer();
			assert.equal(answer.status, status, answer.body);
			if (status === 200) assert.equal(answer.headers.get('x-subscribers'), '2');
			service.script = allow;
			// On the same connection, unless it was the last on it.
			if (!pieces[0].includes('close')) {
				await connection.write(`${head('Content-Length: 8\r\n')}sentinel`);
				assert.equal((await connection.answer()).status, 200);
			} else {
				await connection.closed;
				assert.equal((await request(server.port, { method: 'POST', path: '/room', body: 'sentinel' })).status, 200);
			}
			connection.end();
			const expected = message === undefined ? ['sentinel'] : [message, 'sentinel'];
			assert.deepEqual(await socket.texts(expected.length), expected);
			assert.deepEqual(await stream.texts(expected.length), expected);
		});
	}
}

test('a POST that is denied publishes nothing, whether its body or the answer comes first', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url);
	const socket = await subscribe(t, server.ws('/room'));
	await service.next();
	service.script = hold;
	for (const isBodyFirst of [true, false]) {
		for (const [status, script] of [
			[403, answering(403, [], 'no')],
			[502, answering(200, [], 'Welcome')],
			[403, answering(204, [['X-Publish', 'none']])],
		] as const) {
			const connection = new RawConnection(server.port);
			await connection.write(`${head('Content-Length: 6\r\n')}${isBodyFirst ? 'secret' : 'sec'}`);
			script(await service.next());
			if (!isBodyFirst) await connection.write('ret');
			assert.equal((await connection.answer()).status, status);
			connection.end();
		}
	}
	socket.send('sentinel');
	assert.equal(await socket.nextText(), 'sentinel');
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 0);
});

test('a page of an allowed origin can read each refusal of a stream and of a POST', async (t) => {
	const service = await startService(t);
	const flags = ['--origin', 'https://example.com', '--max-subscribers', '1'];
	const server = await startTestServer(t, '--auth', service.url, ...flags);
	const from = (door: (typeof askedDoors)[number]) => answerTo(server.port, door, '/room', ['Origin: https://example.com']);
	for (const [script, status] of [
		[answering(401, [], 'no'), 401],
		[answering(429), 429],
		[answering(500), 502],
		[allow, 200],
	] as const) {
		service.script = script;
		for (const door of ['event stream', 'POST'] as const) {
			const { status: given, headers } = await from(door);
			assert.equal(given, status);
			assert.equal(headers.get('access-control-allow-origin'), 'https://example.com', door);
			assert.equal(headers.get('access-control-allow-credentials'), 'true');
			if (status !== 200) assert.equal(headers.get('vary'), 'Origin');
		}
	}
	service.script = answering(204, [['X-Publish', 'none']]);
	const mute = await from('POST');
	assert.deepEqual([mute.status, mute.headers.get('access-control-allow-origin')], [403, 'https://example.com']);
	service.script = allow;
	await subscribe(t, server.ws('/room'), { origin: 'https://example.com' });
	const full = await from('event stream');
	assert.deepEqual([full.status, full.headers.get('access-control-allow-origin')], [503, 'https://example.com']);
	const asked = service.asked;
	for (const door of askedDoors) {
		const { status, headers } = await answerTo(server.port, door, '/room', ['Origin: https://other.example']);
		assert.deepEqual([status, headers.get('access-control-allow-origin')], [403, undefined], door);
	}
	assert.equal(service.asked, asked);
});
