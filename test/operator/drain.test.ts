import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Closing } from '#src/connections/closing.js';
import type { Connection } from '#src/connections/connection.js';
import { Connections } from '#src/connections/registry.js';
import { spread } from '#src/connections/spread.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { Hub } from '#src/pubsub/hub.js';
import { trustedMessage } from '#src/pubsub/message.js';
import { CatchUp } from '#src/slow/catch-up.js';
import { pacingLimits } from '#src/websocket/pacing-limits.js';
import { fakeConnection } from '../support/fake-peer.js';
import { type Answer, post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { closeEvenly, subscribe, subscribeMany } from '../support/subscriber.js';

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

const moved = { code: 1012, reason: 'connections are being moved; connect again' };

function drain({ operatorPort }: TestServer, query: string, method = 'POST'): Promise<Answer> {
	return request(operatorPort, { method, path: `/drain?${query}` });
}

protocol(
	'A POST to `/drain?over=60s` closes the websockets that are open then, evenly over that time, with 1012; who comes meanwhile stays, and the server goes on.',
	async (t) => {
		const server = await startTestServer(t);
		const present = await subscribeMany(t, 500, (i) => server.ws(`/room/${i % 7}`));
		// Holes, which newcomers will fill, before, between and after those who are there.
		for (let i = 0; i < 500; i += 5) await present[i]?.close();
		const left = present.filter((_, i) => i % 5 > 0);
		const closings = closeEvenly(left, 2_000);
		const { status, body } = await drain(server, 'over=2s');
		assert.deepEqual([status, body], [202, 'The present websockets (400) are closed over 2s; the server goes on.\n']);
		const newcomers = await subscribeMany(t, 200, (i) => server.ws(`/room/${i % 7}`));
		assert.equal((await request(server.operatorPort, { path: '/readyz' })).status, 200);
		assert.ok((await metric(server, 'pathcast_disconnects_total{reason="moved"}')) < 400, 'they came meanwhile');
		await closings;
		for (const { closed } of left) assert.deepEqual(await closed, moved);
		assert.equal(await metric(server, 'pathcast_subscribers'), 200);
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="moved"}'), 400);
		for (let i = 0; i < 7; i++) await post(server.port, `/room/${i}`, 'still here');
		for (const subscriber of newcomers) assert.equal(await subscriber.nextText(), 'still here');
		const logged = server.log.filter(({ event }) => event === 'drain');
		assert.deepEqual(
			logged.map(({ over, subscribers }) => [over, subscribers]),
			[[2, 400]],
		);
	},
);

protocol('A second `/drain?over=` takes the place of the first; while the server stops it is refused with 409.', async (t) => {
	const server = await startTestServer(t, '--drain-delay', '1s');
	const first = await subscribe(t, server.ws('/room'));
	assert.equal((await drain(server, 'over=24h')).status, 202);
	const second = await subscribe(t, server.ws('/room'));
	assert.match((await drain(server, 'over=0s')).body, /\(2\) are closed over 0s/);
	for (const { closed } of [first, second]) assert.deepEqual(await closed, moved);
	const last = await subscribe(t, server.ws('/room'));
	const stopped = server.stop();
	const { status, body } = await drain(server, 'over=0s');
	assert.deepEqual([status, body], [409, 'The server is stopping, and closes its websockets in its own time.\n']);
	await stopped;
	assert.deepEqual(await last.closed, { code: 1012, reason: 'the server is restarting; connect again' });
});

protocol(
	'Any other query of `/drain`, an empty one included, or a body is refused with 400 and the remedy, and stops nothing.',
	async (t) => {
		const server = await startTestServer(t);
		const subscriber = await subscribe(t, server.ws('/room'));
		const remedy = 'Ask for /drain?over=60s, up to over=24h, or for /drain alone to stop the server; without a body.\n';
		const wrong = [
			'',
			'over=',
			'over',
			'over=60',
			'over=-1s',
			'over=1.5s',
			'over=25h',
			'over=1d',
			'over=1s&over=1s',
			'over=1s&',
			'x=1',
			'&',
		];
		for (const query of wrong) {
			const { status, body } = await drain(server, query);
			assert.deepEqual([status, body], [400, remedy], query);
		}
		for (const path of ['/drain', '/drain?over=0s']) {
			const { status, body } = await post(server.operatorPort, path, 'over=0s');
			assert.deepEqual([status, body], [400, remedy], path);
		}
		const chunked = new RawConnection(server.operatorPort);
		await chunked.write('POST /drain HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nover=0s\r\n0\r\n\r\n');
		assert.equal((await chunked.answer()).body, remedy);
		chunked.end();
		for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
			const { status, headers } = await request(server.operatorPort, { method, path: '/drain' });
			assert.deepEqual([status, headers.get('allow')], [405, 'POST'], method);
		}
		await post(server.port, '/room', 'still here');
		assert.equal(await subscriber.nextText(), 'still here');
	},
);

protocol('With `--max-age`, each websocket is closed with 1012 and a reason at that age, give or take 10 %.', async (t) => {
	const server = await startTestServer(t, '--max-age', '2s');
	const closings = Array.from({ length: 300 }, async (_, i) => {
		const startedMs = performance.now();
		const subscriber = await subscribe(t, server.ws(`/room/${i % 7}`));
		const openedMs = performance.now();
		assert.deepEqual(await subscriber.closed, { code: 1012, reason: 'the connection has reached --max-age; connect again' });
		const closedMs = performance.now();
		// It is younger than since it was begun, and older than since we saw it open.
		assert.ok(closedMs - startedMs > 1_800, `closed after ${closedMs - startedMs} ms`);
		assert.ok(closedMs - openedMs < 3_000, `closed after ${closedMs - openedMs} ms`);
		return closedMs;
	});
	const times = await Promise.all(closings);
	assert.ok(Math.max(...times) - Math.min(...times) > 200, 'not all at once');
	assert.equal(await metric(server, 'pathcast_disconnects_total{reason="age"}'), 300);
	await subscribe(t, server.ws('/room/1'));
	assert.equal((await post(server.port, '/room/1', 'x')).headers.get('x-subscribers'), '1');
});

type FakeConnection = Connection & { leave(): void };

/** Connections on three channels, and all that closing needs. The hub lets a channel send 25 of our messages at once. */
function crowd(count: number, onEnd: () => void) {
	const hub = new Hub(
		() => {},
		() => {},
		pacingLimits(64 * 100, false),
	);
	const places = new Connections();
	const connections = Array.from({ length: count }, (_, i) => {
		const connection: FakeConnection = {
			...fakeConnection({
				id: places.newId(),
				end({ cause }) {
					assert.match(cause, /^(stopping|moved)$/);
					onEnd();
					connection.leave();
				},
			}),
			leave() {
				places.remove(connection.place ?? assert.fail('it has gone already'));
				connection.place = undefined;
				hub.leave(connection.subscription ?? assert.fail());
			},
		};
		connection.place = places.add(connection);
		connection.subscription = hub.join(`/room/${i % 3}` as ChannelName, connection);
		return connection;
	});
	const publish = (messages: number) => {
		const channel = hub.find('/room/0' as ChannelName) ?? assert.fail();
		for (let i = 0; i < messages; i++) hub.publish(channel, trustedMessage(Buffer.from('x'), false));
	};
	return { hub, connections, publish, closing: new Closing(hub, places, new CatchUp(hub, 6_400)) };
}

test('a tick closes no more than 200 websockets, whether their channel is quiet or has a burst to send first', async () => {
	for (const burst of [0, 100]) {
		let endsInTick = 0;
		let endsMax = 0;
		const { hub, publish, closing } = crowd(1_500, () => void endsInTick++);
		publish(burst);
		const watch = () => {
			endsMax = Math.max(endsMax, endsInTick);
			endsInTick = 0;
			if (hub.subscribers > 0) setImmediate(watch);
		};
		watch();
		await spread(closing.all('stopping'), hub.subscribers, 0);
		while (hub.subscribers > 0) await new Promise(setImmediate);
		assert.equal(endsMax, 200);
	}
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
