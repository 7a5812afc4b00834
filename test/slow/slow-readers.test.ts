import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
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
 * until a subscriber lags, then mostly short ones: the second look has to come before the subscriber has too much unread.
 */
async function sendUntilKept(server: TestServer, reader: Subscriber): Promise<number> {
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
	test(`a subscriber that pauses and reads on, again and again, misses nothing, doubles nothing and stays in order (${scheme})`, async (t) => {
		const random = seededRandom(t);
		const flags = ['--max-backlog', '64MiB', '--max-message', '256KiB', '--binary', '--log-level', 'info'];
		const [cert, key] = tls;
		const server = await startTestServer(t, ...flags, ...(scheme === 'wss' ? ['--tls-cert', cert, '--tls-key', key] : []));
		const url = server.ws('/room').replace(/^ws/, scheme);
		const trusting = { rejectUnauthorized: false };
		const reader = await subscribe(t, url, trusting);
		const slowReaders = await Promise.all([1, 2, 3, 4].map(() => subscribe(t, url, trusting)));
		const order: string[] = [];
		const publish = async () => {
			const message = messageOf(random, order.length);
			reader.send(message);
			const received = await reader.next();
			assert.deepEqual(received, { data: Buffer.from(message), isBinary: typeof message !== 'string' });
			order.push(fingerprint(received));
		};
		const seen = new Map(slowReaders.map((slowReader) => [slowReader, 0]));
		const catchUp = async (slowReader: Subscriber) => {
			let next = seen.get(slowReader) ?? 0;
			while (next < order.length) assert.equal(fingerprint(await slowReader.next()), order[next++]);
			seen.set(slowReader, next);
		};

		for (let cycle = 0; cycle < 3; cycle++) {
			for (const { ws } of slowReaders) ws.pause();
			while ((await kept(server)) === 0) await publish();
			for (let i = 0; i < 40; i++) await publish();
			// They read on one after another, while more is published.
			for (const slowReader of slowReaders) {
				slowReader.ws.resume();
				for (let i = 0; i < 20; i++) await publish();
				await catchUp(slowReader);
			}
			while ((await kept(server)) > 0) await turn();
			// The fan-out has them again.
			for (let i = 0; i < 50; i++) await publish();
			await Promise.all(slowReaders.map(catchUp));
		}
		assert.equal(await metric(server, 'pathcast_deliveries_total'), 5 * order.length);
		assert.equal(
			await metric(server, 'pathcast_delivered_bytes_total'),
			5 * (await metric(server, 'pathcast_received_bytes_total')),
		);
	});
}

protocol(
	'Messages that wait for subscribers that have stopped reading are kept once for all of them, and no longer than they wait.',
	async (t) => {
		const server = await startTestServer(t, '--max-backlog', '64MiB', '--log-level', 'info');
		const reader = await subscribe(t, server.ws('/room'));
		const stopped = await subscribeMany(t, 20, () => server.ws('/room'));
		for (const { ws } of stopped) ws.pause();
		let sent = await sendUntilKept(server, reader);
		const before = await kept(server);
		for (let i = 0; i < 10; i++) await send(reader, sent++);
		// The channel keeps each message once, also for subscribers that were found a little later than the first.
		assert.equal((await kept(server)) - before, 10 * (64_000 + 64));
		for (const { ws } of stopped) ws.terminate();
		while ((await kept(server)) > 0) await turn();
		await send(reader, sent);
	},
);

test('messages that are kept for a subscriber are part of its backlog, in the log too', async (t) => {
	const server = await startTestServer(t, '--write-timeout', '1s', '--max-backlog', '64MiB', '--log-level', 'info');
	const reader = await subscribe(t, server.ws('/room'));
	const stopped = await subscribe(t, server.ws('/room'));
	stopped.ws.pause();
	let sent = await sendUntilKept(server, reader);
	for (let i = 0; i < 10; i++) await send(reader, sent++);
	while ((await metric(server, 'pathcast_disconnects_total{reason="slow"}')) < 1) await turn();
	const { backlog } = server.log.find(({ event }) => event === 'slow') ?? {};
	assert.ok(Number(backlog) >= 10 * (64_000 + 64), String(backlog));
});

test('a slow subscriber that is closed gets everything that was published before the close frame', async (t) => {
	const server = await startTestServer(t, '--max-message', '128KiB', '--max-backlog', '64MiB', '--log-level', 'info');
	const endings: [number, (server: TestServer, slowReader: Subscriber) => unknown][] = [
		[1000, ({ operatorPort }) => void request(operatorPort, { method: 'DELETE', path: '/channels/room' })],
		[1009, (_server, { ws }) => ws.send('x'.repeat(140_000))],
		[1012, () => void server.stop()],
	];
	for (const [code, ending] of endings) {
		const reader = await subscribe(t, server.ws('/room'));
		const slowReader = await subscribe(t, server.ws('/room'));
		slowReader.ws.pause();
		let sent = await sendUntilKept(server, reader);
		for (let i = 0; i < 10; i++) await send(reader, sent++);
		ending(server, slowReader);
		if (code !== 1009) assert.equal((await reader.closed).code, code);
		slowReader.ws.resume();
		const texts = await slowReader.textsUntilClosed(code);
		assert.deepEqual(
			texts.map((text) => text.split(' ')[0]),
			Array.from({ length: sent }, (_, i) => String(i)),
		);
		reader.ws.terminate();
		if (code !== 1012) while ((await metric(server, 'pathcast_subscribers')) > 0) await turn();
	}
});

test('subscribers that have too much unread are disconnected, however many they are, with no message skipped', async (t) => {
	// Through a UNIX socket, because there the system holds no more than some 200 KB for each of them.
	const path = `${temporaryFolder(t)}/pathcast.sock`;
	const server = await startTestServer(t, '--addr', path, '--max-backlog', '1MiB', '--log-level', 'info');
	const reader = await subscribe(t, `ws+unix:${path}:/room`);
	const count = 300;
	const stopped = await subscribeMany(t, count, () => `ws+unix:${path}:/room`);
	for (const { ws } of stopped) ws.pause();
	let sent = await sendUntilKept(server, reader);
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
