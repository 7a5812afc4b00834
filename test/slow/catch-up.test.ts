import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Subscriber as WebSocketData } from '#src/connections/connection.js';
import type { Socket } from '#src/engine.js';
import type { Channel } from '#src/pubsub/channel.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { Hub } from '#src/pubsub/hub.js';
import { trustedMessage } from '#src/pubsub/message.js';
import type { Waiter } from '#src/pubsub/shared-backlog.js';
import { Stragglers } from '#src/slow/catch-up.js';
import { countGapless, numbered } from '../support/gapless.js';
import { request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { type Random, seededRandom } from '../support/random.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { type Received, type Subscriber, subscribe, subscribeMany } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const kept = (server: TestServer) => metric(server, 'pathcast_backlog_bytes');
const tls = ['valid.cert.pem', 'valid.key.pem'].map((name) =>
	fileURLToPath(new URL(`../../../test/support/tls/${name}`, import.meta.url)),
) as [string, string];

/**
 * Sends numbered messages, each awaited by the reader, until something is kept for others. Gives how many were sent. They are of 64 KB
 * until somebody lags, then mostly short ones: the look that finds that they stand is to come before they have too much.
 */
async function sendUntilBehind(server: TestServer, reader: Subscriber): Promise<number> {
	let sent = 0;
	while ((await kept(server)) === 0) {
		assert.ok(sent < 5_000, 'nobody falls behind');
		const isAnyLagging = (await metric(server, 'pathcast_lagging_subscribers')) > 0;
		await send(reader, sent++, isAnyLagging && sent % 50 > 0 ? 10 : 64_000);
	}
	return sent;
}

async function send(reader: Subscriber, i: number, bytes = 64_000): Promise<void> {
	reader.send(numbered(i, bytes));
	assert.equal((await reader.nextText()).split(' ')[0], String(i));
}

/** A message of a length that crosses the engine's limits now and then: 126 bytes, 16 KiB. */
function messageOf(random: Random, i: number): string | Buffer {
	const text = numbered(i, [1, 130, 1_000, 17_000, 65_000, 200_000][random.below(6)] ?? 0);
	return random.below(4) === 0 ? Buffer.from(text) : text;
}

const fingerprint = ({ data, isBinary }: Received) => `${data.subarray(0, 20).toString('latin1')} ${data.length} ${isBinary}`;

for (const scheme of ['ws', 'wss']) {
	test(`whoever pauses and reads on, again and again, misses nothing, doubles nothing and stays in order (${scheme})`, async (t) => {
		const random = seededRandom(t);
		const flags = ['--max-backlog', '64MiB', '--max-message', '256KiB', '--binary', '--log-level', 'info'];
		const [cert, key] = tls;
		const server = await startTestServer(t, ...flags, ...(scheme === 'wss' ? ['--tls-cert', cert, '--tls-key', key] : []));
		const url = server.ws('/room').replace(/^ws/, scheme);
		const trusting = { rejectUnauthorized: false };
		const reader = await subscribe(t, url, trusting);
		const stragglers = await Promise.all([1, 2, 3, 4].map(() => subscribe(t, url, trusting)));
		const order: string[] = [];
		const publish = async () => {
			const message = messageOf(random, order.length);
			reader.send(message);
			const received = await reader.next();
			assert.deepEqual(received, { data: Buffer.from(message), isBinary: typeof message !== 'string' });
			order.push(fingerprint(received));
		};
		const seen = new Map(stragglers.map((straggler) => [straggler, 0]));
		const catchUp = async (straggler: Subscriber) => {
			let next = seen.get(straggler) ?? 0;
			while (next < order.length) assert.equal(fingerprint(await straggler.next()), order[next++]);
			seen.set(straggler, next);
		};

		for (let cycle = 0; cycle < 3; cycle++) {
			for (const { ws } of stragglers) ws.pause();
			while ((await kept(server)) === 0) await publish();
			for (let i = 0; i < 40; i++) await publish();
			// They read on one after another, while more is published.
			for (const straggler of stragglers) {
				straggler.ws.resume();
				for (let i = 0; i < 20; i++) await publish();
				await catchUp(straggler);
			}
			while ((await kept(server)) > 0) await turn();
			// The fan-out has them again.
			for (let i = 0; i < 50; i++) await publish();
			await Promise.all(stragglers.map(catchUp));
		}
		assert.equal(await metric(server, 'pathcast_deliveries_total'), 5 * order.length);
		assert.equal(
			await metric(server, 'pathcast_delivered_bytes_total'),
			5 * (await metric(server, 'pathcast_received_bytes_total')),
		);
	});
}

protocol(
	'What waits for subscribers who have stopped reading is kept once for all of them, and no longer than they wait.',
	async (t) => {
		const server = await startTestServer(t, '--max-backlog', '64MiB', '--log-level', 'info');
		const reader = await subscribe(t, server.ws('/room'));
		const stopped = await subscribeMany(t, 20, () => server.ws('/room'));
		for (const { ws } of stopped) ws.pause();
		let sent = await sendUntilBehind(server, reader);
		const before = await kept(server);
		for (let i = 0; i < 10; i++) await send(reader, sent++);
		// Those who were found a little later than the first share what is kept for it.
		assert.equal((await kept(server)) - before, 10 * (64_000 + 64));
		for (const { ws } of stopped) ws.terminate();
		while ((await kept(server)) > 0) await turn();
		await send(reader, sent);
	},
);

test('what is kept for one is part of its backlog, in the log too, and does not count as read when it has stopped', async (t) => {
	const server = await startTestServer(t, '--write-timeout', '1s', '--max-backlog', '64MiB', '--log-level', 'info');
	const reader = await subscribe(t, server.ws('/room'));
	const stopped = await subscribe(t, server.ws('/room'));
	stopped.ws.pause();
	let sent = await sendUntilBehind(server, reader);
	for (let i = 0; i < 10; i++) await send(reader, sent++);
	while ((await metric(server, 'pathcast_disconnects_total{reason="slow"}')) < 1) await turn();
	const { backlog } = server.log.find(({ event }) => event === 'slow') ?? {};
	assert.ok(Number(backlog) >= 10 * (64_000 + 64), String(backlog));
});

test('whoever falls behind and is closed then gets all that was published before the close frame', async (t) => {
	const server = await startTestServer(t, '--max-message', '128KiB', '--max-backlog', '64MiB', '--log-level', 'info');
	const endings: [number, (server: TestServer, straggler: Subscriber) => unknown][] = [
		[1000, ({ operatorPort }) => void request(operatorPort, { method: 'DELETE', path: '/channels/room' })],
		[1009, (_server, { ws }) => ws.send('x'.repeat(140_000))],
		[1012, () => void server.stop()],
	];
	for (const [code, ending] of endings) {
		const reader = await subscribe(t, server.ws('/room'));
		const straggler = await subscribe(t, server.ws('/room'));
		straggler.ws.pause();
		let sent = await sendUntilBehind(server, reader);
		for (let i = 0; i < 10; i++) await send(reader, sent++);
		ending(server, straggler);
		if (code !== 1009) assert.equal((await reader.closed).code, code);
		straggler.ws.resume();
		const texts = await straggler.textsUntilClosed(code);
		assert.deepEqual(
			texts.map((text) => text.split(' ')[0]),
			Array.from({ length: sent }, (_, i) => String(i)),
		);
		reader.ws.terminate();
		if (code !== 1012) while ((await metric(server, 'pathcast_subscribers')) > 0) await turn();
	}
});

test('whoever is too far behind is disconnected, however many they are, with no message skipped', async (t) => {
	// Through a UNIX socket, because there the system holds no more than some 200 KB for each of them.
	const path = `${temporaryFolder(t)}/pathcast.sock`;
	const server = await startTestServer(t, '--addr', path, '--max-backlog', '1MiB', '--log-level', 'info');
	const reader = await subscribe(t, `ws+unix:${path}:/room`);
	const count = 300;
	const stopped = await subscribeMany(t, count, () => `ws+unix:${path}:/room`);
	for (const { ws } of stopped) ws.pause();
	let sent = await sendUntilBehind(server, reader);
	while ((await metric(server, 'pathcast_disconnects_total{reason="slow"}')) < count) {
		assert.ok((await kept(server)) <= 1_048_576);
		assert.ok(sent < 1_000, 'not disconnected');
		await send(reader, sent++);
	}
	assert.equal(await kept(server), 0);
	for (const { ws } of stopped) ws.resume();
	for (const subscriber of stopped) assert.ok((await countGapless(subscriber)) < sent);
	assert.equal(await metric(server, 'pathcast_subscribers'), 1);
});

/** What the engine makes of a websocket, of which the test decides what it has read. */
type FakeSocket = {
	place: number | undefined;
	channel: Channel | undefined;
	isAdmitted: boolean;
	waiter: Waiter | undefined;
	farewell: WebSocketData['farewell'];
	unreadBytes: number;
	/** Whether it takes at once what it is sent. */
	isFast: boolean;
	sent: number;
	closedWith: number;
	readonly topics: Set<string>;
	readonly ws: Socket<WebSocketData>;
};

/** Websockets of one channel who have 64 KiB unread, and stragglers who have not been told. */
function crowd(count: number, backlogBytesMax: number) {
	const hub = new Hub(
		() => {},
		() => {},
		backlogBytesMax,
	);
	const stragglers = new Stragglers(hub, backlogBytesMax, () => {});
	const sockets = Array.from({ length: count }, (_, place) => {
		const close = (code: number) => {
			// As the engine, which throws.
			assert.notEqual(socket.place, undefined, 'it has closed already');
			socket.closedWith = code;
			socket.place = undefined;
			const { channel = assert.fail() } = socket;
			stragglers.forget(socket as unknown as WebSocketData);
			hub.leave(channel, socket.ws, true);
		};
		const ws = {
			getUserData: () => socket,
			getBufferedAmount: () => socket.unreadBytes,
			subscribe: (topic: string) => socket.topics.add(topic),
			unsubscribe(topic: string) {
				socket.topics.delete(topic);
				assert.ok(socket.topics.size > 0, 'the engine loses or damages messages to a websocket without a subscription');
			},
			cork: (act: () => void) => act(),
			send(bytes: Uint8Array) {
				socket.sent++;
				if (!socket.isFast) socket.unreadBytes += bytes.byteLength;
				return socket.isFast ? 1 : 0;
			},
			end: close,
			close: () => close(1006),
		} as unknown as Socket<WebSocketData>;
		const socket: FakeSocket = {
			place,
			channel: undefined,
			isAdmitted: true,
			waiter: undefined,
			farewell: undefined,
			unreadBytes: 65_536,
			isFast: true,
			sent: 0,
			closedWith: 0,
			topics: new Set(['1']),
			ws,
		};
		socket.channel = hub.join('/room' as ChannelName, ws, () => true);
		return socket;
	});
	const publish = (messages: number, bytes: number) => {
		const channel = hub.find('/room' as ChannelName) ?? assert.fail();
		for (let i = 0; i < messages; i++) hub.publish(channel, trustedMessage(Buffer.alloc(bytes), true));
		hub.flush();
	};
	const read = (socket: FakeSocket, bytes = socket.unreadBytes) => {
		socket.unreadBytes -= bytes;
		stragglers.onDrain(socket.ws);
	};
	return { stragglers, sockets, publish, read };
}

test('who has 64 KiB before it that stand falls behind, or a quarter of the backlog; who has too much is disconnected', () => {
	for (const [backlogBytesMax, enough] of [
		[1_048_576, 65_536],
		[8_192, 2_048],
	] as const) {
		const { stragglers, sockets } = crowd(1, backlogBytesMax);
		const [socket = assert.fail()] = sockets;
		stragglers.onStanding(socket.ws, enough - 1);
		// Or if the fan-out does not reach it yet.
		socket.isAdmitted = false;
		stragglers.onStanding(socket.ws, enough);
		socket.isAdmitted = true;
		assert.equal(socket.waiter, undefined);
		stragglers.onStanding(socket.ws, enough);
		assert.notEqual(socket.waiter, undefined);
		stragglers.onStanding(socket.ws, backlogBytesMax);
		assert.equal(socket.closedWith, 0);
		stragglers.onStanding(socket.ws, backlogBytesMax + 1);
		assert.equal(socket.closedWith, 1006);
	}
});

test('who reads slowly is sent each message when it has read the one before, and has caught up when it has read the last', async () => {
	const { stragglers, sockets, publish, read } = crowd(1, 1_048_576);
	const [socket = assert.fail()] = sockets;
	socket.isFast = false;
	stragglers.onStanding(socket.ws, 65_536);
	publish(3, 1_000);
	for (let sent = 0; sent < 3; sent++) {
		read(socket, 500);
		await turn();
		assert.equal(socket.sent, sent);
		read(socket);
		await turn();
		assert.equal(socket.sent, sent + 1);
	}
	assert.notEqual(socket.waiter, undefined);
	assert.deepEqual([...socket.topics], ['behind']);
	read(socket);
	await turn();
	assert.equal(socket.waiter, undefined);
	assert.deepEqual([...socket.topics], ['1']);
});

test('what is kept for many counts once in what all their closes free', () => {
	const { stragglers, sockets, publish } = crowd(8, 1_048_576);
	const freed = () => sockets.reduce((sum, { ws }) => sum + stragglers.freedBy(ws), 0);
	assert.equal(freed(), 8 * 65_536);
	for (const { ws } of sockets) stragglers.onStanding(ws, 65_536);
	publish(2, 10_000);
	assert.ok(sockets.every(({ ws }) => stragglers.backlogOf(ws) === 65_536 + 2 * 10_064));
	assert.equal(freed(), 8 * 65_536 + 2 * 10_064);
});

test('who is closed has room for all that comes before the close frame, or is disconnected', () => {
	for (const [tooMuch, code] of [
		[0, 1000],
		[1, 1006],
	] as const) {
		const { stragglers, sockets, publish } = crowd(2, 131_072);
		const [behind = assert.fail(), other = assert.fail()] = sockets;
		stragglers.onStanding(behind.ws, 65_536);
		publish(1, 1_000);
		behind.unreadBytes = 131_072 - 1_064 + tooMuch;
		other.unreadBytes = 131_072 + tooMuch;
		for (const { ws } of sockets) stragglers.endAtOnce(ws, 1000, 'bye');
		assert.deepEqual([behind.closedWith, behind.sent, other.closedWith], [code, 1 - tooMuch, code]);
	}
});

test('a tick sends those who read on some 4 MiB, and nobody a second share before all have had the first', async () => {
	const { stragglers, sockets, publish, read } = crowd(40, 64 * 1_048_576);
	for (const { ws } of sockets) stragglers.onStanding(ws, 65_536);
	publish(20, 300_000);
	for (const socket of sockets) read(socket);
	const sent = () => sockets.reduce((sum, socket) => sum + socket.sent, 0);
	while (sent() < 40 * 20) {
		const before = sent();
		await turn();
		assert.ok(sent() > before && sent() - before <= 4_194_304 / 300_000 + 1);
		const each = sockets.map((socket) => socket.sent);
		assert.ok(Math.max(...each) - Math.min(...each) <= 1, each.join());
	}
	assert.ok(sockets.every(({ waiter }) => waiter === undefined));
});

test('who is too far behind is disconnected even if it reads on, or is closed, before its turn; a tick disconnects 200', async () => {
	for (const readsOn of [false, true]) {
		const { stragglers, sockets, publish, read } = crowd(500, 131_072);
		for (const { ws } of sockets) stragglers.onStanding(ws, 65_536);
		publish(2, 60_000);
		assert.ok(sockets.every(({ closedWith }) => closedWith === 0));
		if (readsOn) for (const socket of sockets) read(socket);
		const [closed = assert.fail()] = sockets;
		stragglers.endAtOnce(closed.ws, 1000, 'bye');
		assert.equal(closed.closedWith, 1006);
		for (const count of [200, 400, 500]) {
			await turn();
			assert.equal(sockets.filter(({ closedWith }) => closedWith === 1006).length, count);
		}
		assert.ok(sockets.every((socket) => socket.sent === 0));
	}
});

test('tiny messages count more than their bytes: a tick sends some 16,000 of them', async () => {
	const { stragglers, sockets, publish, read } = crowd(50, 64 * 1_048_576);
	for (const { ws } of sockets) stragglers.onStanding(ws, 65_536);
	publish(2_000, 1);
	for (const socket of sockets) read(socket);
	const sent = () => sockets.reduce((sum, socket) => sum + socket.sent, 0);
	while (sent() < 50 * 2_000) {
		const before = sent();
		await turn();
		assert.ok(sent() > before && sent() - before <= (4_194_304 + 262_144) / 257 + 1);
	}
});

test('who has fallen behind and is refused, or sent away, is fed as before and closed when it has read all that was published until then', async () => {
	const { stragglers, sockets, publish, read } = crowd(3, 1_048_576);
	const [refused = assert.fail(), stopped = assert.fail(), other = assert.fail()] = sockets;
	for (const { ws } of [refused, stopped]) stragglers.onStanding(ws, 65_536);
	publish(5, 1_000);
	for (const { ws } of sockets) stragglers.endOnceRead(ws, 1008, 'too fast');
	assert.deepEqual(
		sockets.map(({ closedWith, sent }) => [closedWith, sent]),
		[
			[0, 0],
			[0, 0],
			[1008, 0],
		],
	);
	assert.equal(other.waiter, undefined);
	publish(5, 1_000);
	read(refused);
	await turn();
	assert.deepEqual([refused.closedWith, refused.sent], [1008, 5]);
	// Who does not read is judged as before.
	publish(16, 65_536);
	await turn();
	assert.deepEqual([stopped.closedWith, stopped.sent], [1006, 0]);
});
