import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

protocol(
	'A POST or PUT to `/channels/room/1` publishes to `/room/1` and answers as a public POST to `/room/1` does, also with `--post admin`.',
	async (t) => {
		for (const flags of [[], ['--binary'], ['--post', 'admin']]) {
			const server = await startTestServer(t, ...flags, '--max-message', '1KiB');
			const open = await startTestServer(t, ...flags, '--post', 'public', '--max-message', '1KiB');
			const [subscriber] = await Promise.all([server, open].map(({ ws }) => subscribe(t, ws('/caf%C3%A9'))));
			const octets = { 'Content-Type': 'application/octet-stream' };
			const requests = [
				{ path: '/caf%C3%A9?x', body: 'hello' },
				{ method: 'PUT', path: '/caf%c3%a9', body: 'é€😀\0\r\n' },
				{ path: '/caf%C3%A9', body: 'x'.repeat(1_024), headers: { 'If-Match': '*' } },
				{ path: '/caf%C3%A9', body: 'x'.repeat(1_025) },
				{ path: '/caf%C3%A9', body: '' },
				{ path: '/caf%C3%A9', body: 'x', headers: { 'If-Match': '"tag"' } },
				{ path: '/caf%C3%A9', body: 'x', headers: { 'If-Match': '' } },
				{ path: '/caf%C3%A9', body: Buffer.from([0xff]) },
				{ path: '/caf%C3%A9', body: Buffer.from([0xff]), headers: octets },
				{ path: '/caf%C3%A9', body: 'text', headers: octets },
				{ path: '/nobody', body: 'x' },
				{ path: '/nobody', body: 'x', headers: { 'If-Match': '*' } },
				{ path: '/%', body: 'x' },
				{ path: '/%ff', body: 'x' },
				{ path: `/${'x'.repeat(256)}`, body: 'x' },
				{ path: '/', body: 'x' },
			];
			const told = ({ status, headers, body }: Answer) => [
				status,
				body,
				...['content-type', 'x-subscribers'].map((name) => headers.get(name)),
			];
			for (const asked of requests) {
				const expected = await request(open.port, { method: 'POST', ...asked });
				const got = await request(server.operatorPort, { method: 'POST', ...asked, path: `/channels${asked.path}` });
				assert.deepEqual(told(got), told(expected), JSON.stringify(asked));
			}
			const sentinel = await post(server.operatorPort, '/channels/caf%C3%A9', 'sentinel');
			assert.equal(sentinel.headers.get('x-subscribers'), '1');
			const heard = [
				'hello',
				'é€😀\0\r\n',
				'x'.repeat(1_024),
				...(flags.includes('--binary') ? ['\ufffd'] : []),
				'text',
				'sentinel',
			];
			for (const text of heard) assert.equal((await subscriber?.next())?.data.toString(), text);
			for (const name of ['pathcast_messages_received_total{source="post"}', 'pathcast_messages_unheard_total'])
				assert.equal(await metric(server, name), (await metric(open, name)) + (name.includes('post') ? 1 : 0));
			const errors = async ({ operatorPort }: TestServer) =>
				JSON.parse((await request(operatorPort, { path: '/stats' })).body).message_errors;
			assert.equal(await errors(server), await errors(open));
		}
	},
);

protocol('Messages from the operator take their place in the one order of the channel, bursts included.', async (t) => {
	const server = await startTestServer(t);
	const [first, second] = await Promise.all([1, 2].map(() => subscribe(t, server.ws('/room'))));
	assert.ok(first && second);
	const operator = new RawConnection(server.operatorPort);
	const publisher = new RawConnection(server.port);
	const requests = (path: string, who: string) =>
		Array.from({ length: 100 }, (_, i) => {
			const body = `${who} ${i}`;
			return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
		}).join('');
	for (let i = 0; i < 100; i++) second.send(`websocket ${i}`);
	await Promise.all([operator.write(requests('/channels/room', 'operator')), publisher.write(requests('/room', 'public'))]);
	const [seen, alsoSeen] = await Promise.all([first.texts(300), second.texts(300)]);
	assert.deepEqual(seen, alsoSeen);
	for (const who of ['websocket', 'operator', 'public']) {
		const own = seen.filter((text) => text.startsWith(who));
		assert.deepEqual(
			own,
			Array.from({ length: 100 }, (_, i) => `${who} ${i}`),
		);
	}
	for (const connection of [operator, publisher]) connection.end();
});

protocol(
	'The bodies of both are bounded as on the public side: a body that is too long is discarded, a body that is cut short is not published.',
	async (t) => {
		const server = await startTestServer(t);
		const subscriber = await subscribe(t, server.ws('/room'));
		const head = 'POST /channels/room HTTP/1.1\r\nHost: localhost\r\n';
		const reason = 'The message is longer than 65536 bytes (--max-message).\n';

		const announced = new RawConnection(server.operatorPort);
		await announced.write(`${head}Content-Length: 65537\r\n\r\n`);
		const early = await announced.answer();
		assert.deepEqual([early.status, early.body], [413, reason]);
		await announced.write(`${'x'.repeat(65_537)}${head}Content-Length: 5\r\n\r\nafter`);
		assert.equal((await announced.answer()).status, 200);
		assert.equal(await subscriber.nextText(), 'after');

		const chunked = new RawConnection(server.operatorPort);
		await chunked.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
		for (let i = 0; i < 64; i++) await chunked.write(`400\r\n${'x'.repeat(1_024)}\r\n`);
		await chunked.write('1\r\nx\r\n');
		const counted = await chunked.answer();
		assert.deepEqual([counted.status, counted.body], [413, reason]);
		await chunked.write(`1\r\nx\r\n0\r\n\r\n${head}Content-Length: 5\r\n\r\nagain`);
		assert.equal((await chunked.answer()).status, 200);
		assert.equal(await subscriber.nextText(), 'again');

		const pieces = new RawConnection(server.operatorPort);
		await pieces.write(`${head}Transfer-Encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(65_536)}0\r\n\r\n`);
		assert.equal((await pieces.answer()).status, 200);
		assert.equal(await subscriber.nextText(), 'x'.repeat(65_536));

		const cutShort = new RawConnection(server.operatorPort);
		await cutShort.write(`${head}Content-Length: 10\r\n\r\ncut`);
		cutShort.end();
		await cutShort.closed;
		await post(server.operatorPort, '/channels/room', 'sentinel');
		assert.equal(await subscriber.nextText(), 'sentinel');
		for (const connection of [announced, chunked, pieces]) connection.end();
	},
);

function del(operatorPort: number, path: string, body?: string | Buffer): Promise<Answer> {
	return request(operatorPort, { method: 'DELETE', path: `/channels${path}`, ...(body !== undefined && { body }) });
}

const closedByOperator = { code: 1000, reason: 'the channel was closed' };

protocol(
	'A DELETE of `/channels/room/1` publishes its body as a last message, closes every websocket of `/room/1` with 1000, and answers how many; without a body it only closes.',
	async (t) => {
		const server = await startTestServer(t);
		const other = await subscribe(t, server.ws('/room/2'));
		for (const body of ['bye', '', undefined]) {
			const subscribers = await Promise.all([1, 2, 3].map(() => subscribe(t, server.ws('/room/1'))));
			const { status, headers, body: answer } = await del(server.operatorPort, '/room/1', body);
			assert.deepEqual([status, headers.get('content-type'), answer], [200, 'application/json', '{"closed":3}\n']);
			for (const subscriber of subscribers) {
				if (body) assert.equal(await subscriber.nextText(), body);
				await assert.rejects(subscriber.next(), /closed with 1000 the channel was closed/);
				assert.deepEqual(await subscriber.closed, closedByOperator);
			}
			assert.equal((await request(server.operatorPort, { path: '/channels/room/1' })).status, 404);
		}
		await post(server.port, '/room/2', 'still there');
		assert.equal(await other.nextText(), 'still there');
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="operator"}'), 9);
		assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 2);
		assert.deepEqual(
			server.log.filter(({ event }) => event === 'delete').map(({ path, subscribers }) => [path, subscribers]),
			Array(3).fill(['/room/1', 3]),
		);
	},
);

protocol(
	'Each subscriber gets everything that was published before, in order, then the last message, then the close frame; a client that comes meanwhile is on a new channel.',
	async (t) => {
		// So small that a burst takes several ticks, with rests between them.
		const server = await startTestServer(t, '--max-message', '1KiB', '--max-backlog', '64KiB');
		const subscribers = await Promise.all(Array.from({ length: 300 }, () => subscribe(t, server.ws('/room'))));
		const texts = Array.from({ length: 100 }, (_, i) => `${i} ${'x'.repeat(900)}`);
		const operator = new RawConnection(server.operatorPort);
		const head = (method: string, body: string) =>
			`${method} /channels/room HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
		await operator.write(texts.map((text) => head('POST', text)).join('') + head('DELETE', 'bye'));
		// From here on the name is free, though the old channel is still sending.
		while ((await request(server.operatorPort, { path: '/channels/room' })).status !== 404);
		const late = await subscribe(t, server.ws('/room'));
		subscribers[0]?.send('from one who is being sent away');
		assert.equal((await post(server.port, '/room', 'to the new channel')).headers.get('x-subscribers'), '1');
		assert.equal(await late.nextText(), 'to the new channel');
		for (const subscriber of subscribers) {
			assert.deepEqual(await subscriber.texts(101), [...texts, 'bye']);
			await assert.rejects(subscriber.next(), /closed with 1000/);
		}
		for (const _ of texts) assert.equal((await operator.answer()).headers.get('x-subscribers'), '300');
		assert.equal((await operator.answer()).body, '{"closed":300}\n');
		operator.end();
		await post(server.port, '/room', 'sentinel');
		assert.equal(await late.nextText(), 'sentinel');
		assert.equal(JSON.parse((await request(server.operatorPort, { path: '/stats' })).body).backlog, 0);
	},
);

protocol(
	'A DELETE is refused with 404 where no channel is, and with a body that could not be published; then it closes nothing.',
	async (t) => {
		const server = await startTestServer(t, '--max-message', '1KiB');
		const subscriber = await subscribe(t, server.ws('/room'));
		assert.equal((await del(server.operatorPort, '/nobody', 'bye')).status, 404);
		assert.equal((await del(server.operatorPort, '/%', 'bye')).status, 400);
		assert.equal((await del(server.operatorPort, '/room', Buffer.from([0xff]))).status, 400);
		assert.equal((await del(server.operatorPort, '/room', 'x'.repeat(1_025))).status, 413);
		await post(server.port, '/room', 'sentinel');
		assert.equal(await subscriber.nextText(), 'sentinel');
	},
);

test('a subscriber that reads nothing for a while gets everything when it reads again: the messages it lags behind, the last message, the close frame', async (t) => {
	const server = await startTestServer(t, '--max-message', '1MiB', '--max-backlog', '64MiB');
	const slow = await subscribe(t, server.ws('/room'));
	slow.ws.pause();
	// More than the system itself takes for a peer that reads nothing.
	const texts = Array.from({ length: 20 }, (_, i) => `${i} ${'x'.repeat(1_000_000)}`);
	for (const text of texts) assert.equal((await post(server.port, '/room', text)).status, 200);
	assert.equal((await del(server.operatorPort, '/room', 'bye')).body, '{"closed":1}\n');
	slow.ws.resume();
	for (const text of [...texts, 'bye']) assert.ok((await slow.nextText()) === text);
	assert.deepEqual(await slow.closed, closedByOperator);
});

test("a body that is still coming to the operator's listener when the server stops is published first", async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	const operator = new RawConnection(server.operatorPort);
	await operator.write('POST /channels/room HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
	assert.equal((await operator.answer()).status, 100);
	const stopped = server.stop();
	await operator.write('last');
	assert.equal((await operator.answer()).status, 200);
	await stopped;
	assert.equal(await subscriber.nextText(), 'last');
	assert.equal((await subscriber.closed).code, 1012);
});
