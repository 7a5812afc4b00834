import assert from 'node:assert/strict';
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
	'Its bodies are bounded as on the public side: what is too long is discarded, a body cut short is not published.',
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
