import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countGapless, numbered, sendToAll, sendUntilLagging } from '../support/gapless.js';
import { handshakeHeaders, post, RawConnection } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { type Received, subscribe } from '../support/subscriber.js';

protocol(
	'A subscriber that lags more than `--max-backlog` behind is disconnected (1006), never silently skipped, and does not slow the others.',
	async (t) => {
		const server = await startTestServer(t, '--max-backlog', '256KiB');
		const healthy = await subscribe(t, server.ws('/room'));
		const stalled = await subscribe(t, server.ws('/room'));
		const text = (i: number) => `${i} ${'x'.repeat(16_000)}`;
		stalled.ws.pause();
		let isCut = false;
		const leaves = healthy.closed.then(() => assert.fail('the healthy one was cut'));

		// One message at a time, each awaited by the healthy subscriber: the stalled subscriber does not delay it.
		let sent = 0;
		while (!isCut && sent < 2_000) {
			healthy.send(text(sent));
			assert.equal(await Promise.race([healthy.nextText(), leaves]), text(sent));
			sent++;
			isCut = server.log.some(({ event, code }) => event === 'close' && code === 1006);
		}
		assert.ok(isCut, `not disconnected after ${sent} messages of 16 KB`);

		// What it got until then is the beginning of the order, without a gap; then comes the end, without a close frame.
		stalled.ws.resume();
		assert.equal((await stalled.closed).code, 1006);
		assert.ok((await countGapless(stalled)) < sent);
	},
);

protocol('A subscriber whose backlog has not shrunk for `--write-timeout` is disconnected too.', async (t) => {
	const server = await startTestServer(t, '--max-backlog', '64MiB', '--write-timeout', '1s');
	const healthy = await subscribe(t, server.ws('/room'));
	const stalled = await subscribe(t, server.ws('/room'));
	stalled.ws.pause();
	const sent = await sendUntilLagging([healthy], 1, server.operatorPort);
	while ((await metric(server, 'pathcast_disconnects_total{reason="slow"}')) < 1);
	assert.equal(await metric(server, 'pathcast_lagging_subscribers'), 0);
	stalled.ws.resume();
	assert.equal((await stalled.closed).code, 1006);
	assert.ok((await countGapless(stalled)) < sent);
	healthy.send('still here');
	assert.equal(await healthy.nextText(), 'still here');
});

protocol(
	'A subscriber that is disconnected for lagging counts as `slow`, and the log names channel, address and backlog, one line a second at the most.',
	async (t) => {
		const server = await startTestServer(t, '--max-backlog', '16MiB', '--trust-proxy', '127.0.0.1', '--log-level', 'info');
		const healthy = await subscribe(t, server.ws('/room'));
		const stalled = await subscribe(t, server.ws('/room'), { headers: { 'X-Forwarded-For': '192.0.2.7' } });
		stalled.ws.pause();
		// It takes many more messages from the first backlog to the last, so that a look comes between.
		let sent = await sendUntilLagging([healthy], 1, server.operatorPort);
		while ((await metric(server, 'pathcast_disconnects_total{reason="slow"}')) < 1) {
			assert.ok(sent < 1_000, 'not disconnected');
			await sendToAll([healthy], sent++);
		}
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="lost"}'), 0);
		const { path, ip, reason, backlog, subscribers, leftOut } = server.log.find(({ event }) => event === 'slow') ?? {};
		assert.deepEqual([path, ip, reason, subscribers, leftOut], ['/room', '192.0.2.7', 'slow', 1, 0]);
		assert.ok(Number(backlog) > 0 && Number(backlog) <= 17 * 1_048_576, String(backlog));

		// A client that just goes away is lost, not slow.
		healthy.ws.terminate();
		while ((await metric(server, 'pathcast_disconnects_total{reason="lost"}')) < 1);
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="slow"}'), 1);
	},
);

test('a subscriber that a burst takes beyond `--max-backlog` counts as `slow`, whether a look has found it slow before or not', async (t) => {
	const server = await startTestServer(t, '--max-backlog', '8MiB');
	for (let round = 1; round <= 4; round++) {
		const publisher = await subscribe(t, server.ws(`/${round}`));
		const stalled = await subscribe(t, server.ws(`/${round}`));
		stalled.ws.pause();
		const sent = round % 2 === 0 ? await sendUntilLagging([publisher], round, server.operatorPort) : 0;
		for (let i = 0; i < 400; i++) publisher.send(numbered(sent + i, 60_000));
		while ((await metric(server, 'pathcast_subscribers')) > 1);
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="slow"}'), round);
		stalled.ws.resume();
		assert.ok((await countGapless(stalled)) < sent + 400);
		await publisher.close();
		while ((await metric(server, 'pathcast_subscribers')) > 0);
	}
});

protocol(
	'A reader that keeps up is not cut by 16 publishers that send 16 messages of 64 KiB each at once, with the default of 4 MiB.',
	async (t) => {
		const server = await startTestServer(t);
		const publishers = await Promise.all(Array.from({ length: 16 }, () => subscribe(t, server.ws('/room'))));
		const reader = await subscribe(t, server.ws('/room'));
		const head = ({ data }: Received) => data.subarray(0, 5).toString();

		for (let i = 0; i < 16; i++) {
			for (const [p, publisher] of publishers.entries()) publisher.send(`${10 + p} ${10 + i}`.padEnd(65_536, 'x'));
		}
		const [order = [], ...others] = await Promise.all(
			[reader, ...publishers].map(async (subscriber) => {
				const heads: string[] = [];
				while (heads.length < 256) heads.push(head(await subscriber.next()));
				return heads;
			}),
		);
		assert.equal(new Set(order).size, 256);
		for (const other of others) assert.deepEqual(other, order);
	},
);

test('a subscriber that joins during a burst of large messages cuts nobody', async (t) => {
	const server = await startTestServer(t);
	const publisher = await subscribe(t, server.ws('/room'));
	for (let i = 0; i < 200; i++) publisher.send(String(i).padEnd(65_536, 'x'));
	const joined = await Promise.all([1, 2, 3].map(() => subscribe(t, server.ws('/room'))));
	publisher.send('end');
	for (let i = 0; i < 200; i++) assert.equal((await publisher.nextText()).split('x', 1)[0], String(i));
	for (const subscriber of joined) while ((await subscriber.nextText()) !== 'end');
});

test('a subscriber that lags, but goes on sending, is disconnected all the same, with no message skipped', async (t) => {
	const server = await startTestServer(t, '--max-backlog', '256KiB');
	const victim = await subscribe(t, server.ws('/room'));
	victim.ws.pause();
	const text = (i: number) => `${i} ${'x'.repeat(60_000)}`;
	let sent = 0;
	while (sent < 400 && !server.log.some(({ event }) => event === 'close')) {
		for (let i = 0; i < 500; i++) victim.send('');
		await post(server.port, '/room', text(sent++));
	}
	victim.ws.resume();
	assert.equal((await victim.closed).code, 1006);
	assert.ok((await countGapless(victim)) < sent);
});

protocol('A peer that answers no ping for `--ping-timeout` is dropped; pings are automatic.', async (t) => {
	const server = await startTestServer(t, '--ping-timeout', '8s');
	const answering = await subscribe(t, server.ws('/room'));
	let pings = 0;
	answering.ws.on('ping', () => pings++);
	const silent = new RawConnection(server.port);
	const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
	await silent.write(`GET /room HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`);
	assert.equal((await silent.answer()).status, 101);
	await silent.closed;
	assert.ok(pings > 0);
	answering.send('still here');
	assert.equal(await answering.nextText(), 'still here');
	assert.equal((await post(server.port, '/room', '')).headers.get('x-subscribers'), '1');
});
