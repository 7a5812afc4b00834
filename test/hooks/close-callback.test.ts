import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CloseCallback, closeCallbacksAtOnceMax } from '#src/hooks/close-callback.js';
import { connectService } from '#src/hooks/service.js';
import { newChannel } from '#src/pubsub/channel.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { openStream } from '../support/event-stream.js';
import { request } from '../support/http.js';
import { type Receiver, startReceiver } from '../support/receiver.js';
import { metric, startTestServer } from '../support/server.js';
import { startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';

const room = newChannel('/room' as ChannelName, '1');
const party = (session: string) => ({ conn: 1, ip: '192.0.2.1', session });

async function callbackTo(t: TestContext, receiver: Receiver) {
	const service = await connectService(new URL(receiver.url), closeCallbacksAtOnceMax);
	t.after(() => service.close());
	const outcomes: (string | number | undefined)[][] = [];
	const callback = new CloseCallback({
		service,
		sessionHeader: 'X-Kuiperbelt-Session',
		onOutcome: (...outcome) => outcomes.push(outcome),
		retrying: { timeoutMs: 5_000, waitsMs: [1, 2, 4] },
	});
	return { callback, outcomes };
}

const sessionsOf = (receiver: Receiver) => receiver.requests.map(({ headers }) => headers['x-kuiperbelt-session']);

test('the end of a session is a POST with the session header and no body', async (t) => {
	const receiver = await startReceiver(t);
	const { callback, outcomes } = await callbackTo(t, receiver);
	callback.closed('lost', room, party('alice'));
	assert.equal(callback.queued, 1);
	const [request] = await receiver.received(1);
	assert.deepEqual([request?.method, request?.path, request?.body], ['POST', '/hook?key=1', '']);
	assert.deepEqual(
		[request?.headers['x-kuiperbelt-session'], request?.headers['content-length'], request?.headers['content-type']],
		['alice', '0', undefined],
	);
	await callback.finish(5_000);
	assert.deepEqual(outcomes, [['sent', 1, undefined]]);
	assert.equal(callback.queued, 0);
});

test('the end of a session that the application asked for is not called back, and neither is one without a session', async (t) => {
	const receiver = await startReceiver(t);
	const { callback } = await callbackTo(t, receiver);
	callback.closed('operator', room, party('closed by the application'));
	callback.closed('client', room, { ip: '192.0.2.1' });
	callback.closed('client', room, undefined);
	const others = ['client', 'lost', 'slow', 'memory', 'fault', 'moved', 'age', 'stopping'] as const;
	for (const cause of others) callback.closed(cause, room, party(cause));
	await callback.finish(5_000);
	assert.deepEqual(sessionsOf(receiver).sort(), [...others].sort());
});

test('sixteen close callbacks are out at once, and the others wait', async (t) => {
	const receiver = await startReceiver(t);
	let release = (_status: number) => {};
	const held = new Promise<number>((resolve) => {
		release = resolve;
	});
	receiver.answers.push(...Array.from({ length: 16 }, () => held));
	const { callback, outcomes } = await callbackTo(t, receiver);
	const sessions = Array.from({ length: 50 }, (_, i) => `session ${i}`);
	for (const session of sessions) callback.closed('client', room, party(session));
	const finished = callback.finish(60_000);
	await receiver.received(16);
	assert.equal(callback.queued, 50);
	release(204);
	await finished;
	assert.equal(receiver.atOnceMax, 16);
	assert.deepEqual(sessionsOf(receiver).sort(), sessions.sort());
	assert.equal(outcomes.length, 50);
});

test('a close callback that fails is repeated three times, then dropped and counted, and delays no other', async (t) => {
	const receiver = await startReceiver(t);
	receiver.answers.push(500, 204, 500, 500, 500);
	const { callback, outcomes } = await callbackTo(t, receiver);
	callback.closed('client', room, party('alice'));
	callback.closed('client', room, party('bob'));
	await callback.finish(60_000);
	const sessions = sessionsOf(receiver);
	assert.equal(sessions.length, 5);
	const dropped = sessions[0];
	assert.deepEqual(
		sessions.filter((session) => session !== dropped),
		[dropped === 'alice' ? 'bob' : 'alice'],
	);
	assert.deepEqual(outcomes, [
		['sent', 1, undefined],
		['dropped', 1, 'the answer was 500'],
	]);
});

test('the end of the patience drops the close callbacks that are left', async (t) => {
	const receiver = await startReceiver(t);
	receiver.otherwise = 'hang';
	const { callback, outcomes } = await callbackTo(t, receiver);
	for (let i = 0; i < 50; i++) callback.closed('client', room, party(`session ${i}`));
	await receiver.received(16);
	await callback.finish(20);
	assert.deepEqual(outcomes, [['dropped', 50, 'the server stopped before they were accepted']]);
	assert.equal(callback.queued, 0);
});

test('a client that leaves is called back, and the stop, but not a DELETE and not /close', async (t) => {
	const receiver = await startReceiver(t);
	const header = 'X-Kuiperbelt-Session';
	// The path is the session's name, for this test.
	const service = await startService(t, (question) =>
		question.answer(204, [[header, String(question.field('X-Original-URI')).slice(1)]]),
	);
	const flags = ['--auth', service.url, '--session-header', header, '--close-callback', receiver.url];
	const server = await startTestServer(t, ...flags);
	const [leaving, deleted, closed, staying] = await Promise.all(
		['leaving', 'deleted', 'closed', 'staying'].map((session) => subscribe(t, server.ws(`/${session}`))),
	);
	const stream = await openStream(t, { port: server.port }, '/stream');
	await request(server.operatorPort, { method: 'DELETE', path: '/channels/deleted' });
	await request(server.operatorPort, { method: 'POST', path: '/close', headers: { [header]: 'closed' }, body: 'bye' });
	assert.deepEqual([(await deleted?.closed)?.code, (await closed?.closed)?.code], [1000, 1000]);
	await leaving?.close();
	await receiver.received(1);
	stream.socket.destroy();
	await receiver.received(2);
	while ((await metric(server, 'pathcast_close_callbacks_total{outcome="sent"}')) < 2);
	assert.equal(await metric(server, 'pathcast_close_callbacks_total{outcome="dropped"}'), 0);
	await server.stop();
	assert.equal((await staying?.closed)?.code, 1012);
	assert.deepEqual(sessionsOf(receiver), ['leaving', 'stream', 'staying']);
});
