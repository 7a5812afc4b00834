// What the answer of the authorisation service lets a client do.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTo, askedDoors } from '../support/doors.js';
import { openStream } from '../support/event-stream.js';
import { post, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { answering, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';

protocol(
	'A 204 allows; a 200 allows if it has the session header, and its body, if there is one, is the first message of the subscriber, on a websocket or an event stream.',
	async (t) => {
		const service = await startService(t);
		const server = await startTestServer(t, '--auth', service.url, '--session-header', 'X-Name');
		const withSession = (body: string) => answering(200, [['x-NAME', 'alice']], body);
		for (const script of [answering(204), answering(204, [['X-Name', 'alice']]), withSession('')]) {
			service.script = script;
			const socket = await subscribe(t, server.ws('/room'));
			const stream = await openStream(t, server, '/room');
			assert.equal((await post(server.port, '/room', 'first')).status, 200);
			assert.deepEqual([await socket.nextText(), await stream.texts(1)], ['first', ['first']]);
		}
		for (const hello of ['Hello', 'é€😀\n\n', ' ', 'x'.repeat(65_536)]) {
			service.script = withSession(hello);
			const socket = await subscribe(t, server.ws('/other'));
			const stream = await openStream(t, server, '/other');
			// The hello of a POST goes to nobody.
			assert.equal((await post(server.port, '/other', 'sentinel')).status, 200);
			assert.deepEqual(await socket.texts(2), [hello, 'sentinel']);
			assert.deepEqual(await stream.texts(2), [hello, 'sentinel']);
			await socket.close();
		}
		for (const door of askedDoors) {
			service.script = answering(200, [], 'Hello');
			assert.equal((await answerTo(server.port, door)).status, 502, door);
		}
	},
);

protocol('`X-Rewrite` puts another channel in place of the path; the client does not see it.', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url, '--binary');
	for (const [rewrite, channel] of [
		['/user/157', '/user/157'],
		['/user/caf%C3%A9%20x', '/user/café x'],
		// In UTF-8, whose last byte a trim would take for a blank.
		[Buffer.from('/voilà').toString('latin1'), '/voilà'],
		['/user/../%2e', '/user/../.'],
		['/a,/b', '/a,/b'],
	] as const) {
		service.script = answering(204, [['X-Rewrite', rewrite]]);
		const socket = await subscribe(t, server.ws('/me'));
		const stream = await openStream(t, server, '/me');
		assert.doesNotMatch(JSON.stringify(stream.response.rawHeaders), /user|voil/);
		const { body } = await request(server.operatorPort, { path: '/channels?limit=1' });
		assert.deepEqual(JSON.parse(body).channels, [{ channel, subscribers: 2, grouped: 0 }]);
		const answer = await post(server.port, '/me', 'by POST');
		assert.equal(answer.headers.get('x-subscribers'), '2');
		assert.doesNotMatch(JSON.stringify([...answer.headers, answer.body]), /user|voil/);
		socket.send('by websocket');
		assert.deepEqual(await socket.texts(2), ['by POST', 'by websocket']);
		assert.deepEqual(await stream.texts(2), ['by POST', 'by websocket']);
		stream.response.destroy();
		await socket.close();
		while ((await metric(server, 'pathcast_subscribers')) > 0);
	}
});

protocol(
	'`X-Publish: none` closes a websocket that sends a message with 1008, and refuses a POST with 403; `X-Publish: /other` publishes there what the client sends.',
	async (t) => {
		const service = await startService(t);
		const server = await startTestServer(t, '--auth', service.url);
		const [here, other] = await Promise.all([subscribe(t, server.ws('/room')), subscribe(t, server.ws('/other'))]);
		service.script = answering(204, [['X-Publish', 'none']]);
		const mute = await subscribe(t, server.ws('/room'));
		// An empty message is a keepalive, and is none.
		mute.send('');
		mute.send('forbidden');
		assert.equal((await mute.closed).code, 1008);
		const refused = await post(server.port, '/room', 'forbidden');
		assert.equal(refused.status, 403);
		assert.match(refused.body, /lets this client only listen\.\n$/);

		for (const headers of [
			[['X-Publish', '/other']],
			[
				['X-Publish', '/other'],
				['X-Rewrite', '/room'],
			],
		] as const) {
			service.script = answering(204, headers);
			const diverted = await subscribe(t, server.ws('/room'));
			diverted.send('by websocket');
			assert.equal(await other.nextText(), 'by websocket');
			const answer = await post(server.port, '/room', 'by POST');
			assert.deepEqual([answer.status, answer.headers.get('x-subscribers')], [200, '1']);
			assert.equal(await other.nextText(), 'by POST');
			here.send('sentinel');
			assert.equal(await diverted.nextText(), 'sentinel');
			assert.equal(await here.nextText(), 'sentinel');
			await diverted.close();
		}
	},
);

protocol(
	'`X-Max-Age: 3600` closes the subscription with 1008 and `authorisation expired` after so many seconds, within a second.',
	async (t) => {
		const service = await startService(t, answering(204, [['X-Max-Age', '2']]));
		const server = await startTestServer(t, '--auth', service.url);
		const startMs = performance.now();
		const socket = await subscribe(t, server.ws('/room'));
		const stream = await openStream(t, server, '/room');
		service.script = answering(204, [['X-Max-Age', '3600']]);
		const longer = await subscribe(t, server.ws('/room'));
		assert.deepEqual(await socket.closed, { code: 1008, reason: 'authorisation expired' });
		const socketMs = performance.now() - startMs;
		assert.equal(await stream.closed, 'ended');
		for (const ageMs of [socketMs, performance.now() - startMs]) assert.ok(ageMs > 1_990 && ageMs < 4_500, `${ageMs} ms`);
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="expired"}'), 2);
		await post(server.port, '/room', 'sentinel');
		assert.equal(await longer.nextText(), 'sentinel');
	},
);

test('of --max-age and X-Max-Age the earlier one holds', async (t) => {
	const service = await startService(t, answering(204, [['X-Max-Age', '1']]));
	const long = await startTestServer(t, '--auth', service.url, '--max-age', '1h');
	const expiring = await subscribe(t, long.ws('/room'));
	assert.deepEqual(await expiring.closed, { code: 1008, reason: 'authorisation expired' });
	service.script = answering(204, [['X-Max-Age', '3600']]);
	const short = await startTestServer(t, '--auth', service.url, '--max-age', '1s');
	const aging = await subscribe(t, short.ws('/room'));
	assert.equal((await aging.closed).code, 1012);
});

protocol(
	'A 401, 403, 404 or 429 is passed on with its body of up to 8 KiB, `Retry-After` and `WWW-Authenticate`, and nothing else.',
	async (t) => {
		const service = await startService(t);
		const server = await startTestServer(t, '--auth', service.url, '--max-message', '1048576');
		const [passed, own] = [
			[
				['Retry-After', '7'],
				['WWW-Authenticate', 'Basic realm="x"'],
			],
			[
				['Set-Cookie', 'a=1'],
				['Content-Type', 'text/html'],
				['X-Session', 'alice'],
				['Location', '/x'],
				['X-Rewrite', '/other'],
			],
		] as const;
		for (const status of [401, 403, 404, 429]) {
			for (const door of askedDoors) {
				for (const body of ['{"why":"é"}', 'x'.repeat(8_192), '', 'x'.repeat(8_193)]) {
					service.script = answering(status, [...passed, ...own], body);
					const answer = await answerTo(server.port, door);
					assert.equal(answer.status, status);
					const isPassed = body !== '' && body.length <= 8_192;
					const expected = isPassed ? body : 'The authorisation service of this server refused the request.\n';
					assert.equal(answer.body, expected);
					assert.equal(answer.headers.get('retry-after'), '7');
					assert.equal(answer.headers.get('www-authenticate'), 'Basic realm="x"');
					const names = ['content-length', 'content-type', 'date', 'retry-after', 'uwebsockets', 'www-authenticate'];
					const known = isPassed ? [...names, 'x-content-type-options'] : names;
					assert.deepEqual([...answer.headers.keys()].sort(), known.sort());
					assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8');
				}
			}
		}
		assert.equal(await metric(server, 'pathcast_auth_questions_total{outcome="denied"}'), 48);
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="auth"}'), 48);
		assert.equal(await metric(server, 'pathcast_auth_question_seconds_count'), 48);
	},
);

test('two fields WWW-Authenticate are passed on as one', async (t) => {
	const headers = [
		['WWW-Authenticate', 'Basic'],
		['WWW-Authenticate', 'Bearer'],
	] as const;
	const service = await startService(t, answering(401, headers));
	const server = await startTestServer(t, '--auth', service.url);
	assert.equal((await answerTo(server.port, 'POST')).headers.get('www-authenticate'), 'Basic, Bearer');
});

test('a HEAD of an event stream asks, and gets the head of the answer alone', async (t) => {
	const service = await startService(t, answering(200, [['X-Session', 'alice']], 'Hello'));
	const server = await startTestServer(t, '--auth', service.url);
	const head = () => request(server.port, { method: 'HEAD', path: '/room', headers: { Accept: 'text/event-stream' } });
	const allowed = await head();
	assert.deepEqual([allowed.status, allowed.headers.get('content-type')], [200, 'text/event-stream']);
	service.script = answering(401, [], 'no');
	const denied = await head();
	assert.deepEqual([denied.status, denied.headers.get('content-length'), denied.body], [401, '2', '']);
	assert.equal(service.asked, 2);
	assert.equal(await metric(server, 'pathcast_subscribers'), 0);
});
