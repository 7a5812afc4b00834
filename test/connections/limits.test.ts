import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Allowance } from '#src/connections/allowance.js';
import { sendToAll, sendUntilLagging } from '../support/gapless.js';
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
	'With `--max-connections`, an upgrade beyond it is refused with 503 and `Retry-After`, until a websocket closes.',
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
	'With `--max-channels`, an upgrade that would open one channel more is refused in the same way; with `--max-subscribers`, an upgrade to a channel that is full.',
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

protocol(
	"With `--max-rate`, a websocket that sends more messages a second, empty ones and pings included, or more pongs, is refused with close code 1008 and a reason; one second's worth may come at once.",
	async (t) => {
		const server = await startTestServer(t, '--max-rate', '20');
		const refused = {
			code: 1008,
			reason: 'a websocket may send 20 messages a second, empty ones and pings included, and as many pongs (--max-rate)',
		};
		const patient = await subscribe(t, server.ws('/other'));
		const publisher = await subscribe(t, server.ws('/room'));
		const reader = await subscribe(t, server.ws('/room'));
		// Far more than it may send while they are sent.
		for (let i = 0; i < 1_000; i++) publisher.send(String(i));
		assert.deepEqual(await publisher.closed, refused);
		await post(server.port, '/room', 'end');
		let seen = 0;
		for (let text = await reader.nextText(); text !== 'end'; text = await reader.nextText()) assert.equal(text, String(seen++));
		assert.ok(seen >= 20 && seen < 200, `${seen} got through`);
		assert.deepEqual(
			await publisher.texts(seen),
			Array.from({ length: seen }, (_, i) => String(i)),
			'the refused one too',
		);

		const keepingAlive = await subscribe(t, server.ws('/room'));
		for (let i = 0; i < 1_000; i++) keepingAlive.send('');
		assert.deepEqual(await keepingAlive.closed, refused);
		const pinging = await subscribe(t, server.ws('/room'));
		for (let i = 0; i < 1_000; i++) pinging.ws.ping();
		assert.deepEqual(await pinging.closed, refused);
		const ponging = await subscribe(t, server.ws('/room'));
		for (let i = 0; i < 1_000; i++) ponging.ws.pong();
		assert.deepEqual(await ponging.closed, refused);

		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="rate"}'), 4);
		for (let i = 0; i < 20; i++) patient.send('each has its own');
		// Pongs, which answer our pings, have their own.
		for (let i = 0; i < 20; i++) patient.ws.pong();
		await patient.texts(20);
	},
);

protocol(
	'The log has such refusals at `warn`, one line a second at the most: which limit, and how many lines were left out.',
	async (t) => {
		const server = await startTestServer(t, '--max-connections', '1', '--log-level', 'info');
		await subscribe(t, server.ws('/room'));
		for (let i = 0; i < 5; i++) await assertFull(server, '/room', '--max-connections');
		const [first, ...others] = server.log.filter(({ event }) => event === 'refused');
		const { level, path, ip, code, reason, leftOut } = first ?? {};
		assert.deepEqual([level, path, ip, code, reason, leftOut], [40, '/room', '127.0.0.1', 503, 'connections', 0]);
		assert.ok(others.length < 4, `${others.length} more lines`);
	},
);

test('an allowance fills evenly, and never holds more than a second of it', () => {
	const allowance = new Allowance(10, 5_000);
	const taken = (nowMs: number) => {
		let count = 0;
		while (allowance.take(nowMs)) count++;
		return count;
	};
	assert.equal(taken(5_000), 10);
	assert.equal(taken(5_050), 0);
	assert.equal(taken(5_125), 1);
	assert.equal(taken(5_625), 5);
	assert.equal(taken(60_000), 10);
	const slow = new Allowance(1, 0);
	for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000) assert.ok(slow.take(nowMs), `at ${nowMs} ms`);
});

protocol(
	'With `--memory-budget`, the subscribers with the largest backlogs are disconnected first; while that is not enough, upgrades are refused with 503, and `/readyz` says 503.',
	async (t) => {
		// Any process of Node holds more than the least budget.
		const always = await startTestServer(t, '--memory-budget', '64MiB');
		while ((await upgrade(always, '/room')).status !== 503);
		await assertFull(always, '/room', '--memory-budget');
		const { status, body } = await request(always.operatorPort, { path: '/readyz' });
		assert.deepEqual([status, body], [503, 'over --memory-budget\n']);
		assert.equal((await post(always.port, '/room', 'x')).status, 200);
		assert.ok((await metric(always, 'pathcast_refusals_total{reason="memory"}')) >= 2);

		// Room for what this process needs, but not for the messages that wait for a subscriber that does not read.
		const budget = process.memoryUsage.rss() + 128 * 1_048_576;
		const server = await startTestServer(
			t,
			'--memory-budget',
			String(budget),
			'--max-backlog',
			'1024MiB',
			'--write-timeout',
			'0',
		);
		const healthy = await subscribe(t, server.ws('/room'));
		const stalled = await subscribe(t, server.ws('/room'));
		stalled.ws.pause();
		let sent = await sendUntilLagging([healthy], 1, server.operatorPort);
		while ((await metric(server, 'pathcast_disconnects_total{reason="memory"}')) < 1) {
			assert.ok(sent < 10_000, 'not disconnected');
			for (let i = 0; i < 10; i++) await sendToAll([healthy], sent++);
		}
		const { path, ip, backlog, reason } = server.log.find(({ event }) => event === 'slow') ?? {};
		assert.deepEqual([path, ip, reason], ['/room', '127.0.0.1', 'memory']);
		assert.ok(Number(backlog) >= 65_536, String(backlog));
		stalled.ws.resume();
		assert.equal((await stalled.closed).code, 1006);
		healthy.send('still here');
		assert.equal(await healthy.nextText(), 'still here');
	},
);
