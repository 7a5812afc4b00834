import assert from 'node:assert/strict';
import { type Answer, handshakeHeaders, post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

/** Asks for a websocket on that path. */
function upgrade(server: TestServer, path: string): Promise<Answer> {
	return request(server.port, { path, headers: handshakeHeaders });
}

async function assertFull(server: TestServer, path: string, flag: string): Promise<void> {
	const { status, headers, body } = await upgrade(server, path);
	assert.deepEqual([status, headers.get('retry-after'), headers.get('connection')], [503, '5', 'close']);
	assert.ok(body.includes(`(${flag})`), body);
}

/** Waits until the server knows that only so many are subscribed. */
async function subscribersLeft(server: TestServer, count: number): Promise<void> {
	while ((await metric(server, 'pathcast_subscribers')) > count);
}

protocol(
	'With `--max-connections`, an upgrade beyond it is refused with 503 and `Retry-After`, until somebody leaves.',
	async (t) => {
		const server = await startTestServer(t, '--max-connections', '2');
		const first = await subscribe(t, server.ws('/a'));
		const second = await subscribe(t, server.ws('/b'));
		await assertFull(server, '/a', '--max-connections');
		assert.equal((await post(server.port, '/b', 'requests are still served')).status, 200);
		assert.equal(await second.nextText(), 'requests are still served');
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="connections"}'), 1);
		await first.close();
		await subscribersLeft(server, 1);
		const third = await subscribe(t, server.ws('/b'));
		await post(server.port, '/b', 'x');
		assert.equal(await third.nextText(), 'x');
	},
);

protocol(
	'With `--max-channels`, so is an upgrade that would open one channel more; with `--max-subscribers`, one to a channel that is full.',
	async (t) => {
		const server = await startTestServer(t, '--max-channels', '2', '--max-subscribers', '2');
		const first = await subscribe(t, server.ws('/a'));
		await subscribe(t, server.ws('/a'));
		await assertFull(server, '/a', '--max-subscribers');
		const other = await subscribe(t, server.ws('/b'));
		await assertFull(server, '/c', '--max-channels');
		await subscribe(t, server.ws('/b'));
		await assertFull(server, '/b', '--max-subscribers');
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="subscribers"}'), 2);
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="channels"}'), 1);

		await first.close();
		await subscribersLeft(server, 3);
		assert.equal((await upgrade(server, '/a')).status, 101);
		other.send('x');
		assert.equal(await other.nextText(), 'x');
	},
);

protocol('Such a refusal closes the connection, so that it holds no file descriptor; other requests are served.', async (t) => {
	const server = await startTestServer(t, '--max-connections', '1');
	await subscribe(t, server.ws('/room'));
	const connection = new RawConnection(server.port);
	const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
	await connection.write(`GET /room HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`);
	assert.equal((await connection.answer()).status, 503);
	await connection.closed;
	assert.equal((await post(server.port, '/room', 'x')).headers.get('x-subscribers'), '1');
});
