import assert from 'node:assert/strict';
import { post } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

protocol('Every non-empty text message goes to all subscribers of the path, the sender included, as text.', async (t) => {
	const server = await startTestServer(t);
	const [sender, reader, stranger] = [
		await subscribe(t, server.ws('/room')),
		await subscribe(t, server.ws('/room')),
		await subscribe(t, server.ws('/other')),
	];
	const texts = ['a', 'é€😀', '\u0000', ' ', '\n', '\ufeff', '\ufffd', 'x'.repeat(125), 'x'.repeat(126), 'x'.repeat(65_536)];
	for (const text of texts) sender.send(text);
	assert.deepEqual(await sender.texts(texts.length), texts);
	assert.deepEqual(await reader.texts(texts.length), texts);
	stranger.send('sentinel');
	assert.equal(await stranger.nextText(), 'sentinel', 'nothing of another channel came first');
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="websocket"}'), texts.length + 1);
	assert.equal(await metric(server, 'pathcast_deliveries_total'), 2 * texts.length + 1);
});

protocol(
	'All subscribers of a channel get all messages in one and the same order, each once, from websockets and POSTs alike.',
	async (t) => {
		const server = await startTestServer(t);
		const senders = await Promise.all(Array.from({ length: 4 }, () => subscribe(t, server.ws('/room'))));
		const posts: Promise<unknown>[] = [];
		const sent = new Set<string>();
		for (let i = 0; i < 200; i++) {
			for (const [s, sender] of senders.entries()) {
				sender.send(`ws ${s} ${i}`);
				sent.add(`ws ${s} ${i}`);
			}
			if (i % 10 === 0) {
				posts.push(post(server.port, '/room', `post ${i}`));
				sent.add(`post ${i}`);
			}
		}
		await Promise.all(posts);
		const [first = [], ...others] = await Promise.all(senders.map((sender) => sender.texts(sent.size)));
		assert.deepEqual(new Set(first), sent);
		for (const other of others) assert.deepEqual(other, first);
		for (const s of senders.keys()) {
			const own = first.filter((text) => text.startsWith(`ws ${s} `));
			assert.deepEqual(
				own,
				Array.from({ length: 200 }, (_, i) => `ws ${s} ${i}`),
				'each sender keeps its own order',
			);
		}
	},
);

protocol('Empty messages are keepalives: counted, dropped, never fanned out.', async (t) => {
	const server = await startTestServer(t);
	const sender = await subscribe(t, server.ws('/room'));
	for (const empty of ['', Buffer.alloc(0), '']) sender.send(empty);
	sender.send('sentinel');
	assert.equal(await sender.nextText(), 'sentinel');
	assert.equal(await metric(server, 'pathcast_keepalives_total'), 3);
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="websocket"}'), 1);
});

protocol('With `--echo-keepalive`, an empty message is answered with an empty message, to its sender only.', async (t) => {
	const server = await startTestServer(t, '--echo-keepalive');
	const sender = await subscribe(t, server.ws('/room'));
	const other = await subscribe(t, server.ws('/room'));
	sender.send('');
	assert.equal(await sender.nextText(), '');
	sender.send('sentinel');
	assert.equal(await other.nextText(), 'sentinel');
});

protocol('A binary message is refused with close code 1003 and a reason.', async (t) => {
	const server = await startTestServer(t);
	const sender = await subscribe(t, server.ws('/room'));
	const reader = await subscribe(t, server.ws('/room'));
	sender.send(Buffer.from('x'));
	sender.send('never published');
	assert.deepEqual(await sender.closed, { code: 1003, reason: 'only text messages are accepted here (--binary is off)' });
	reader.send('sentinel');
	assert.equal(await reader.nextText(), 'sentinel');
});

protocol('With `--binary`, binary messages are fanned out as binary.', async (t) => {
	const server = await startTestServer(t, '--binary');
	const sender = await subscribe(t, server.ws('/room'));
	const reader = await subscribe(t, server.ws('/room'));
	const bytes = Buffer.from([0, 0xff, 0xfe, 0x80]);
	sender.send(bytes);
	sender.send('text');
	// Enough to be deferred, so that copies keep their type too.
	for (let i = 0; i < 200; i++) sender.send(i % 2 ? Buffer.from([i]) : String(i));
	for (const subscriber of [sender, reader]) {
		assert.deepEqual(await subscriber.next(), { data: bytes, isBinary: true });
		assert.equal(await subscriber.nextText(), 'text');
		for (let i = 0; i < 200; i++) {
			const expected = i % 2 ? { data: Buffer.from([i]), isBinary: true } : { data: Buffer.from(String(i)), isBinary: false };
			assert.deepEqual(await subscriber.next(), expected);
		}
	}
});

protocol('With `--client-publish none`, a non-empty message is refused with close code 1008 and a reason.', async (t) => {
	const server = await startTestServer(t, '--client-publish', 'none', '--binary');
	const reason = 'websockets only receive here; publish by POST (--client-publish none)';
	for (const message of ['x', Buffer.from('x'), 'x'.repeat(100_000)]) {
		const sender = await subscribe(t, server.ws('/room'));
		sender.send('');
		await post(server.port, '/room', 'by POST');
		assert.equal(await sender.nextText(), 'by POST', 'a keepalive closes nothing');
		sender.send(message);
		assert.deepEqual(await sender.closed, { code: 1008, reason });
	}
});

protocol(
	'A message over `--max-message` (65,536 bytes) is refused with close code 1009 and a reason; over twice that, the connection is dropped.',
	async (t) => {
		const server = await startTestServer(t);
		const reader = await subscribe(t, server.ws('/room'));
		for (const bytes of [65_537, 131_072]) {
			const sender = await subscribe(t, server.ws('/room'));
			sender.send('x'.repeat(bytes));
			assert.deepEqual(await sender.closed, { code: 1009, reason: 'a message may take 65536 bytes at most (--max-message)' });
		}
		const sender = await subscribe(t, server.ws('/room'));
		sender.send('x'.repeat(131_073));
		assert.equal((await sender.closed).code, 1006);
		reader.send('é'.repeat(32_768));
		assert.equal(await reader.nextText(), 'é'.repeat(32_768), 'the limit is in bytes, and nothing longer was published');

		const small = await startTestServer(t, '--max-message', '1KiB');
		const smallSender = await subscribe(t, small.ws('/room'));
		smallSender.send('x'.repeat(1_024));
		assert.equal((await smallSender.nextText()).length, 1_024);
		smallSender.send('x'.repeat(1_025));
		assert.equal((await smallSender.closed).code, 1009);
	},
);

protocol('Messages that were published before such a refusal are delivered, to the refused sender too.', async (t) => {
	const server = await startTestServer(t);
	const reader = await subscribe(t, server.ws('/room'));
	for (const [refused, code] of [
		[Buffer.from('x'), 1003],
		['x'.repeat(70_000), 1009],
	] as const) {
		const sender = await subscribe(t, server.ws('/room'));
		const texts = Array.from({ length: 300 }, (_, i) => `${code} ${i}`);
		sender.ws.pause();
		for (const text of texts) sender.send(text);
		sender.send(refused);
		sender.ws.resume();
		assert.deepEqual(await sender.texts(300), texts);
		assert.equal((await sender.closed).code, code);
		assert.deepEqual(await reader.texts(300), texts);
	}
});
