// Event streams whose clients do not keep up, and many streams beside many websockets.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Dechunker } from '#bench/load/chunks.js';
import { loadEngine } from '#src/engine.js';
import { EventParser, openStream, openStreamOverTls, type StreamSubscriber, streamRequest } from '../support/event-stream.js';
import { numbered } from '../support/gapless.js';
import { post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { seededRandom } from '../support/random.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { subscribe, subscribeMany } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { tls, tlsFlags } from '../support/tls.js';

const slowCut = 'pathcast_disconnects_total{reason="slow"}';

/** Holds that the texts are the first numbered ones, without a gap. */
function assertGapless(texts: readonly string[]): void {
	texts.forEach((text, i) => {
		assert.equal(text.split(' ')[0], String(i));
	});
}

/** Publishes numbered messages of 64 KB, each awaited by a websocket, until `isEnough`; gives how many. */
async function publishUntil(t: TestContext, server: TestServer, isEnough: () => Promise<boolean>): Promise<number> {
	const healthy = await subscribe(t, server.ws('/room'));
	for (let sent = 0; sent < 1_000; sent++) {
		if (await isEnough()) return sent;
		await post(server.port, '/room', numbered(sent, 64_000));
		await healthy.next();
	}
	return assert.fail('no end after 64 MB');
}

protocol(
	'A stream whose client leaves more than `--max-backlog` unread, or reads nothing for `--write-timeout`, is cut without its last chunk and counts as `slow`; until then it misses nothing.',
	async (t) => {
		for (const flags of [
			['--max-backlog', '256KiB'],
			['--max-backlog', '64MiB', '--write-timeout', '1s'],
		]) {
			const server = await startTestServer(t, ...flags);
			const stalled = await openStream(t, server, '/room');
			stalled.response.pause();
			const sent = await publishUntil(t, server, async () => {
				const isSlow = (await metric(server, 'pathcast_lagging_subscribers')) > 0 || (await metric(server, slowCut)) > 0;
				return isSlow && (flags.length > 2 || (await metric(server, slowCut)) > 0);
			});
			while ((await metric(server, slowCut)) < 1);
			assert.equal(await metric(server, 'pathcast_lagging_subscribers'), 0);
			assert.ok(server.log.some(({ event, path, ip }) => event === 'slow' && path === '/room' && ip === '127.0.0.1'));
			stalled.response.resume();
			assert.equal(await stalled.closed, 'cut');
			const texts = await stalled.textsUntilClosed();
			assertGapless(texts);
			assert.ok(texts.length < sent);
		}
	},
);

/** Opens a response whose client reads nothing, and resolves when the engine drops it: some ten seconds after the last write. */
async function engineDropsUnread(t: TestContext): Promise<void> {
	const engine = loadEngine();
	const app = engine.createApp(undefined);
	t.after(() => app.close());
	const dropped = new Promise<void>((resolve) => {
		app.get('/*', (res) => {
			res.onAborted(resolve);
			res.onWritable(() => true);
			const write = () => {
				let isOut = true;
				res.cork(() => {
					isOut = res.write(Buffer.alloc(10_000));
				});
				if (isOut) setImmediate(write);
			};
			write();
		});
	});
	const listening = engine.listen(app, '127.0.0.1', 0);
	assert.ok(listening);
	const client = connect(engine.localPort(listening), '127.0.0.1');
	client.on('error', () => {});
	t.after(() => client.destroy());
	client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
	await dropped;
}

test('a stream that reads nothing for longer than the engine waits is kept until --write-timeout, and goes on where it was', async (t) => {
	const server = await startTestServer(t, '--max-backlog', '64MiB', '--write-timeout', '1m');
	const stalled = await openStream(t, server, '/room');
	stalled.response.pause();
	const sent = await publishUntil(t, server, async () => (await metric(server, 'pathcast_lagging_subscribers')) > 0);
	await engineDropsUnread(t);
	assert.equal(await metric(server, 'pathcast_subscribers'), 2);
	stalled.response.resume();
	assertGapless(await stalled.texts(sent));
	while ((await metric(server, 'pathcast_lagging_subscribers')) > 0);
	await post(server.port, '/room', 'on');
	assert.deepEqual(await stalled.texts(1), ['on']);
});

/** Where a server listens: the flags for it, and how to open a stream and to publish there. */
const listeners = {
	http: (_t: TestContext) => ({
		flags: [],
		open: (t: TestContext, port: number) => openStream(t, { port }, '/room'),
	}),
	https: (_t: TestContext) => ({
		flags: tlsFlags,
		open: (t: TestContext, port: number) => openStreamOverTls(t, { ...tls, port }, '/room'),
	}),
	'a UNIX socket': (t: TestContext) => {
		const socketPath = join(temporaryFolder(t), 'pathcast.sock');
		return { flags: ['--addr', socketPath], open: (t: TestContext) => openStream(t, { socketPath }, '/room') };
	},
};

for (const [name, listener] of Object.entries(listeners)) {
	test(`a stream that pauses and reads on, again and again, misses nothing, doubles nothing and stays in order (${name})`, (t) =>
		pausesAndReadsOn(t, listener(t)));
}

async function pausesAndReadsOn(
	t: TestContext,
	{ flags, open }: { flags: string[]; open: (t: TestContext, port: number) => Promise<StreamSubscriber> },
): Promise<void> {
	const random = seededRandom(t);
	const server = await startTestServer(t, '--max-backlog', '32MiB', ...flags);
	const stream = await open(t, server.port);
	// Every listener has the operator's beside it, whose messages take the same way.
	const publish = (text: string) => post(server.operatorPort, '/channels/room', text);
	const sizes = [1, 100, 5_000, 15_995, 16_000, 16_001, 40_000, 65_000];
	let published = 0;
	let read = 0;
	for (let round = 0; round < 40; round++) {
		stream.response.pause();
		for (let i = random.below(120); i > 0; i--) {
			const text = `${published++} `.padEnd(sizes[random.below(sizes.length)] ?? 1, 'x');
			assert.equal((await publish(text)).headers.get('x-subscribers'), '1');
		}
		stream.response.resume();
		// Sometimes it is paused again before it has caught up.
		const upTo = round % 3 === 0 ? published : read + Math.floor((published - read) / 2);
		for (const text of await stream.texts(upTo - read)) assert.equal(text.split(' ')[0], String(read++));
	}
	for (const text of await stream.texts(published - read)) assert.equal(text.split(' ')[0], String(read++));
}

test('a slow stream that is ended gets everything that was published before', async (t) => {
	const server = await startTestServer(t, '--max-backlog', '64MiB');
	const slow = await openStream(t, server, '/room');
	slow.response.pause();
	const sent = await publishUntil(t, server, async () => (await metric(server, 'pathcast_lagging_subscribers')) > 0);
	const answer = request(server.operatorPort, { method: 'DELETE', path: '/channels/room', body: `${sent} bye` });
	assert.equal(JSON.parse((await answer).body).closed, 2);
	slow.response.resume();
	const texts = await slow.textsUntilClosed();
	assert.equal(texts.length, sent + 1);
	assertGapless(texts);
	assert.equal(await slow.closed, 'ended');
});

test('1,000 streams and 1,000 websockets on one path see one order, under load from all kinds of publishers, while others come and go', async (t) => {
	const server = await startTestServer(t);
	const count = 1_000;
	const messages = 200;
	const sockets = await subscribeMany(t, count, () => server.ws('/room'));
	const streams: { readonly texts: string[] }[] = [];
	let full = 0;
	let onFull = () => {};
	const allFull = new Promise<void>((resolve) => {
		onFull = resolve;
	});
	// By bytes: a thousand HTTP clients of Node's would be most of the load.
	const open = () =>
		new Promise<void>((resolve) => {
			const texts: string[] = [];
			const socket = connect(server.port, '127.0.0.1');
			t.after(() => socket.destroy());
			socket.on('error', () => {});
			const parser = new EventParser(({ data }) => {
				if (texts.push(data) === messages && ++full === count) onFull();
			});
			let head = '';
			socket.on('data', (bytes) => {
				head += bytes.toString('latin1');
				const start = head.indexOf('\r\n\r\n') + 4;
				if (start < 4) return;
				const chunks = new Dechunker();
				const read = (more: Buffer) => chunks.read(more, (data) => parser.feed(data));
				read(Buffer.from(head.slice(start), 'latin1'));
				socket.removeAllListeners('data');
				socket.on('data', read);
				streams.push({ texts });
				resolve();
			});
			socket.write(streamRequest);
		});
	while (streams.length < count) await Promise.all(Array.from({ length: 100 }, open));
	assert.equal(
		(await request(server.operatorPort, { path: '/channels/room' })).body,
		'{"channel":"/room","subscribers":2000,"grouped":0,"backlog":0}\n',
	);

	const [first, second] = sockets;
	assert.ok(first && second);
	let isOver = false;
	const churn = (async () => {
		while (!isOver) {
			const connection = new RawConnection(server.port);
			await connection.write(streamRequest);
			await connection.arrived(': subscribed');
			connection.end();
		}
	})();
	for (let i = 0; i < messages / 4; i++) {
		first.send(`first ${i}\n`);
		second.send(`second ${i}`);
		await Promise.all(['a', 'b'].map((name) => post(server.port, '/room', `${name} ${i}`)));
	}
	const order = await first.texts(messages);
	for (const socket of sockets.slice(1)) assert.deepEqual(await socket.texts(messages), order);
	await allFull;
	isOver = true;
	await churn;
	for (const { texts } of streams) assert.deepEqual(texts, order);
	assert.equal(await metric(server, slowCut), 0);
});
