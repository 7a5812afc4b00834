import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Farewells } from '#src/doors/farewells.js';
import type { Subscriber as WebSocketData } from '#src/doors/websocket.js';
import type { Socket } from '#src/engine.js';
import { closesPerTick } from '#src/operations/drain.js';
import { spread } from '#src/operations/spread.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { Hub } from '#src/pubsub/hub.js';
import type { Member } from '#src/pubsub/members.js';
import { trustedMessage } from '#src/pubsub/message.js';
import { Places } from '#src/pubsub/places.js';
import { RawConnection, request } from '../support/http.js';
import { startTestServer } from '../support/server.js';
import { subscribeMany } from '../support/subscriber.js';

test('what waits in a burst when the server is stopped goes out before the close frames, at its pace', async (t) => {
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

/** What the engine makes of a websocket: its own methods and our fields, in one object. */
type FakeSocket = Member &
	Pick<WebSocketData, 'place' | 'channel' | 'disconnectCause'> & {
		getUserData(): FakeSocket;
		getBufferedAmount(): number;
		leave(): void;
	};

/** Websockets on three channels, and all that farewells need. The hub lets a channel send 25 of our messages at once. */
function crowd(count: number, onEnd: () => void) {
	const hub = new Hub(() => {}, 64 * 100);
	const places = new Places<Socket<WebSocketData>>();
	const sockets = Array.from({ length: count }, (_, i) => {
		const socket: FakeSocket = {
			place: undefined,
			channel: undefined,
			disconnectCause: undefined,
			getUserData: () => socket,
			getBufferedAmount: () => 0,
			end(code) {
				assert.equal(code, 1012);
				onEnd();
				socket.leave();
			},
			leave() {
				places.remove(socket.place ?? assert.fail('it has gone already'));
				socket.place = undefined;
				hub.leave(socket.channel ?? assert.fail(), socket, true);
			},
		};
		socket.place = places.add(socket as unknown as Socket<WebSocketData>);
		socket.channel = hub.join(`/room/${i % 3}` as ChannelName, socket, () => true);
		return socket;
	});
	const publish = (messages: number) => {
		const channel = hub.find('/room/0' as ChannelName) ?? assert.fail();
		for (let i = 0; i < messages; i++) hub.publish(channel, trustedMessage(Buffer.from('x'), false));
	};
	return { hub, sockets, publish, farewells: new Farewells(hub, places, closesPerTick) };
}

test('a tick closes no more than 200 websockets, whether their channel is quiet or has a burst to send first', async () => {
	for (const burst of [0, 100]) {
		let endsInTick = 0;
		let endsMax = 0;
		const { hub, publish, farewells } = crowd(1_500, () => void endsInTick++);
		publish(burst);
		const watch = () => {
			endsMax = Math.max(endsMax, endsInTick);
			endsInTick = 0;
			if (hub.subscribers > 0) setImmediate(watch);
		};
		watch();
		await spread(farewells.begin('stopping'), hub.subscribers, 0);
		while (hub.subscribers > 0) await new Promise(setImmediate);
		assert.equal(endsMax, 200);
	}
});

test('who leaves while the burst before the close frame goes out is not closed once more', () => {
	let ends = 0;
	const { hub, sockets, publish, farewells } = crowd(9, () => void ends++);
	publish(100);
	const farewell = farewells.begin('stopping');
	assert.deepEqual([farewell.send(7), ends, farewell.isOver()], [7, 4, false]);
	sockets[0]?.leave();
	assert.deepEqual([farewell.send(7), ends, farewell.isOver()], [2, 6, true]);
	hub.flush();
	assert.deepEqual([hub.subscribers, ends], [0, 8]);
});
