// Changes whose questions are out at the authorisation service: their order, and what ends them.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { changed, openGroups } from '../support/groups.js';
import { post } from '../support/http.js';
import { metric, metricBecomes, startTestServer } from '../support/server.js';
import { allow, answering, hold, type Question, startService } from '../support/service.js';
import { handled } from '../support/subscriber.js';

/** A connection that is let in, and whose further questions are left to the test. */
async function openHeld(t: TestContext, ...flags: string[]) {
	const service = await startService(t);
	const server = await startTestServer(t, '--groups', '--auth', service.url, ...flags);
	const client = await openGroups(t, server, '/room');
	await service.next();
	service.script = hold;
	return { service, server, client };
}

const pathOf = (question: Question) => question.field('X-Original-URI');
const waiting = 'pathcast_auth_waiting';

test('a change is made when all of its questions have been answered, in whatever order, and paths of the set are not asked again', async (t) => {
	const { service, client } = await openHeld(t);
	client.send('subscribe: /b /room /c /d');
	const questions = await service.take(3);
	assert.deepEqual(questions.map(pathOf).sort(), ['/b', '/c', '/d']);
	for (const question of questions.reverse()) {
		// Nothing is joined yet.
		client.publish(pathOf(question) ?? '', 'x');
		assert.equal((await client.nextRefusal())[1], 403);
		question.answer(204);
	}
	assert.deepEqual(await client.nextAnswer(), changed('/b /room /c /d', '/b /c /d'));
	assert.deepEqual(await client.change('subscribe: /d /room /b'), changed('/d /room /b', '', '/c'));
	assert.deepEqual(await client.change('remove: /b /unknown'), changed('/d /room', '', '/b'));
	assert.equal(service.asked, 4);
	// A path that was left is asked about again.
	client.send('add: /c');
	assert.equal(pathOf(await service.next()), '/c');
});

test('the first refusal of a change takes back its other questions, and nothing is joined', async (t) => {
	const { service, server, client } = await openHeld(t);
	client.send('subscribe: /a /b /c');
	const questions = await service.take(3);
	const refused = questions.find((question) => pathOf(question) === '/b');
	questions.find((question) => pathOf(question) === '/a')?.answer(204);
	refused?.answer(403, [], 'no');
	assert.deepEqual(await client.nextRefusal(), ['/b', 403, 'no']);
	await questions.find((question) => pathOf(question) === '/c')?.takenBack;
	assert.equal(await metric(server, 'pathcast_auth_questions_total{outcome="cancelled"}'), 1);
	for (const path of ['/a', '/b', '/c'])
		assert.equal((await post(server.operatorPort, `/channels${path}`, 'x')).headers.get('x-subscribers'), '0');
	assert.deepEqual(await client.change('add:'), changed('/room'));
});

test('changes that wait behind a question are answered in their order, each by the set that the one before has left', async (t) => {
	const { service, server, client } = await openHeld(t);
	for (const frame of ['add: /b', 'remove: /room', 'add: /%zz', 'subscribe: /b', 'subscribe: /c', 'add: /b /room'])
		client.send(frame);
	const question = await service.next();
	assert.equal(pathOf(question), '/b');
	await handled(client.subscriber);
	assert.equal(service.asked, 2);
	// Until then, the set is unchanged.
	await post(server.operatorPort, '/channels/room', 'meanwhile');
	assert.deepEqual(await client.nextMessage(), ['/room', 'server', 'meanwhile']);
	service.script = allow;
	question.answer(404);
	assert.deepEqual((await client.nextRefusal()).slice(0, 2), ['/b', 404]);
	assert.deepEqual(await client.nextAnswer(), changed('', '', '/room'));
	assert.deepEqual((await client.nextRefusal()).slice(0, 2), ['/%zz', 400]);
	assert.deepEqual(await client.nextAnswer(), changed('/b', '/b'));
	assert.deepEqual(await client.nextAnswer(), changed('/c', '/c', '/b'));
	assert.deepEqual(await client.nextAnswer(), changed('/c /b /room', '/b /room'));
});

test('a client that leaves takes its questions back, also those of a change that waited behind one without questions', async (t) => {
	const { service, server, client } = await openHeld(t, '--auth-concurrency', '2', '--auth-timeout', '60s');
	client.send('add: /a');
	const first = await service.next();
	for (const frame of ['remove: /room', 'add: /b /c /d']) client.send(frame);
	await handled(client.subscriber);
	first.answer(204);
	assert.deepEqual(await client.nextAnswer(), changed('/room /a', '/a'));
	assert.deepEqual(await client.nextAnswer(), changed('/a', '', '/room'));
	const questions = await service.take(2);
	await metricBecomes(server, waiting, 1);
	client.ws.terminate();
	await Promise.all(questions.map(({ takenBack }) => takenBack));
	await metricBecomes(server, waiting, 0);
	assert.equal(await metric(server, 'pathcast_auth_questions_total{outcome="cancelled"}'), 3);
	for (const name of ['pathcast_channels', 'pathcast_subscribers', 'pathcast_connections']) await metricBecomes(server, name, 0);
	assert.equal(service.asked, 4);
});

test('more paths than may wait for the service are refused with 503, and the connection goes on', async (t) => {
	const { service, server, client } = await openHeld(t, '--auth-concurrency', '1');
	service.script = allow;
	const others = await Promise.all(Array.from({ length: 260 }, (_, nth) => openGroups(t, server, `/other${nth}`)));
	service.script = hold;
	// Sixteen of each connection at once.
	for (const other of others) other.send(`add: ${Array.from({ length: 20 }, (_, i) => `/${i}`).join(' ')}`);
	const refused = await Promise.race(others.map((other) => other.nextRefusal()));
	assert.equal(refused[1], 503);
	assert.match(refused[2], /^Too many requests wait for the authorisation service/);
	assert.deepEqual(await client.change('add:'), changed('/room'));
});

test('a connection has sixteen questions out at once, and its change is made when all have been answered', async (t) => {
	const { service, server, client } = await openHeld(t);
	const paths = Array.from({ length: 40 }, (_, i) => `/${i}`).join(' ');
	client.send(`add: ${paths}`);
	const first = await Promise.all(Array.from({ length: 16 }, () => service.next()));
	assert.deepEqual([service.asked, await metric(server, 'pathcast_auth_waiting')], [17, 0]);
	service.script = allow;
	for (const question of first) question.answer(204);
	assert.deepEqual(await client.nextAnswer(), changed(`/room ${paths}`, paths));
	assert.equal(service.asked, 41);
});

test('a stopping server refuses the change whose question is out, and those that wait, and closes with 1012', async (t) => {
	const { service, server, client } = await openHeld(t);
	for (const frame of ['add: /a', 'add: /b', 'remove: /room', 'add:']) client.send(frame);
	const question = await service.next();
	await handled(client.subscriber);
	const stopped = server.stop();
	await question.takenBack;
	const frames = await client.framesUntilClosed(1012);
	for (const { head, body } of frames.slice(0, 1)) {
		assert.deepEqual(
			[...head],
			[
				['refused', '/a'],
				['command', 'add'],
				['status', '503'],
			],
		);
		assert.match(body, /stopping/);
	}
	assert.deepEqual(
		frames.map(({ head }) => head.get('refused') ?? head.get('subscribed')),
		['/a', '/b', '', ''],
	);
	await stopped;
	assert.equal(service.asked, 2);
});

test('a limit that is reached while a question is out refuses the change, and its first message is not sent', async (t) => {
	const { service, server, client } = await openHeld(t, '--max-channels', '2');
	client.send('add: /b');
	const question = await service.next();
	service.script = answering(204);
	const other = await openGroups(t, server, '/other');
	question.answer(200, [['X-Session', 'a']], 'hello');
	assert.deepEqual((await client.nextRefusal()).slice(0, 2), ['/b', 503]);
	assert.deepEqual(await client.change('add:'), changed('/room'));
	await other.close();
	assert.deepEqual(await client.change('subscribe: /b'), changed('/b', '/b', '/room'));
});
