import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Closing } from '#src/connections/closing.js';
import type { Connection, Groups } from '#src/connections/connection.js';
import { Connections } from '#src/connections/registry.js';
import { spread } from '#src/connections/spread.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { trustedMessage } from '#src/pubsub/message.js';
import { CatchUp } from '#src/slow/catch-up.js';
import { fakeConnection, silentHub } from '../support/fake-peer.js';
import { handshakeHeaders, post, RawConnection, request } from '../support/http.js';
import { startTestServer } from '../support/server.js';
import { subscribe, subscribeMany } from '../support/subscriber.js';
import { TickPeak } from '../support/tick-peak.js';

test('a stopping server closes every websocket with 1012 after its last message, and refuses new ones', async (t) => {
	const server = await startTestServer(t);
	const subscribers = await Promise.all(Array.from({ length: 450 }, (_, i) => subscribe(t, server.ws(`/room/${i % 3}`))));
	const keptAlive = new RawConnection(server.port);
	await keptAlive.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
	await keptAlive.answer();
	for (const path of ['/room/0', '/room/1', '/room/2']) {
		for (let i = 0; i < 20; i++) await post(server.port, path, `last ${i}`);
	}
	const stopped = server.stop();
	const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
	await keptAlive.write(`GET / HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`);
	const refused = await keptAlive.answer();
	keptAlive.end();
	assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
	await stopped;
	const last = Array.from({ length: 20 }, (_, i) => `last ${i}`);
	for (const subscriber of subscribers) {
		assert.deepEqual(await subscriber.texts(20), last);
		assert.deepEqual(await subscriber.closed, { code: 1012, reason: 'the server is restarting; connect again' });
	}
	await assert.rejects(post(server.port, '/room/0', 'x'), /closed/);
	await assert.rejects(request(server.operatorPort, { path: '/healthz' }), /closed/);
});

test('messages that wait in a burst when the server is stopped go out before the close frames, at their pace', async (t) => {
	// So small that a burst takes many ticks, with rests between them.
	const server = await startTestServer(t, '--max-message', '1KiB', '--max-backlog', '64KiB', '--drain', '1s');
	const subscribers = await subscribeMany(t, 300, () => server.ws('/room'));
	const texts = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat(900)}`);
	const publisher = new RawConnection(server.port);
	await publisher.write(
		texts.map((text) => `POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`).join(''),
	);
	for (const _ of texts) assert.equal((await publisher.answer()).status, 200);
	const { backlog } = JSON.parse((await request(server.operatorPort, { path: '/stats' })).body);
	assert.ok(backlog > 0);
	const heard = subscribers.map((subscriber) => subscriber.textsUntilClosed(1012));
	await server.stop();
	for (const received of heard) assert.deepEqual(await received, texts);
	publisher.end();
});

type FakeConnection = Connection & { leave(): void };

/** Connections on three channels, and all that closing needs. The hub lets a channel send 25 of our messages at once. */
function crowd(count: number, onEnd: () => void, groups?: Groups) {
	const hub = silentHub(64 * 100);
	const places = new Connections();
	const connections = Array.from({ length: count }, (_, i) => {
		const connection: FakeConnection = {
			...fakeConnection({
				id: places.newId(),
				groups,
				end({ cause }) {
					assert.match(cause, /^(stopping|moved)$/);
					onEnd();
					connection.leave();
				},
			}),
			leave() {
				places.remove(connection.place ?? assert.fail('it has gone already'));
				connection.place = undefined;
				hub.leave(connection);
			},
		};
		connection.place = places.add(connection);
		hub.join(`/room/${i % 3}` as ChannelName, connection);
		return connection;
	});
	const publish = (messages: number) => {
		const channel = hub.find('/room/0' as ChannelName) ?? assert.fail();
		for (let i = 0; i < messages; i++) hub.deliver(channel, trustedMessage(Buffer.from('x'), false, 'server'));
	};
	return { hub, connections, publish, closing: new Closing(hub, places, new CatchUp(hub, 6_400)) };
}

test('a tick closes no more than 200 websockets, whether their channel is quiet or has a burst to send first', async () => {
	for (const burst of [0, 100]) {
		const ends = new TickPeak();
		const { hub, publish, closing } = crowd(1_500, () => ends.count());
		publish(burst);
		ends.watch(hub);
		await spread(closing.all('stopping'), hub.subscribers, 0);
		while (hub.subscribers > 0) await new Promise(setImmediate);
		assert.equal(ends.max, 200);
	}
});

test('a tick closes fewer connections that have many channels: sixteen channels count as one connection more', async () => {
	const ends = new TickPeak();
	const groups = { path: '/' as ChannelName, first: undefined, size: 64, paths: () => [], end: () => assert.fail() };
	const { hub, closing } = crowd(300, () => ends.count(), groups);
	ends.watch(hub);
	await spread(closing.all('stopping'), hub.subscribers, 0);
	while (hub.subscribers > 0) await new Promise(setImmediate);
	assert.equal(ends.max, 40);
});

test('a connection that closes while the burst before its close frame goes out is not closed once more', () => {
	let ends = 0;
	const { hub, connections, publish, closing } = crowd(9, () => void ends++);
	publish(100);
	const round = closing.all('stopping');
	assert.deepEqual([round.close(7), ends, round.isOver()], [7, 4, false]);
	connections[0]?.leave();
	assert.deepEqual([round.close(7), ends, round.isOver()], [2, 6, true]);
	hub.flush();
	assert.deepEqual([hub.subscribers, ends], [0, 8]);
});

test('a round of closing ends when another begins, which closes the connections that are left', () => {
	let ends = 0;
	const { hub, closing } = crowd(9, () => void ends++);
	const first = closing.all('moved');
	assert.deepEqual([first.close(3), ends], [3, 3]);
	const second = closing.all('moved');
	assert.deepEqual([first.isOver(), first.close(3), ends], [true, 0, 3]);
	assert.deepEqual([second.close(9), second.isOver(), hub.subscribers], [6, true, 0]);
});
