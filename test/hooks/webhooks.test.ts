import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { anyPort, refuses, runCommand } from '../support/command.js';
import { fenced, read } from '../support/documents.js';
import { openStream } from '../support/event-stream.js';
import { post, request } from '../support/http.js';
import { namesOf, startReceiver } from '../support/receiver.js';
import { metricOf, startTestServer } from '../support/server.js';
import { answering, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

test('webhooks get each event with its time, node, path, address and number, of websockets and event streams', async (t) => {
	const receiver = await startReceiver(t);
	const server = await startTestServer(t, '--webhook', receiver.url);
	const before = Date.now();
	const websocket = await subscribe(t, server.ws('/room/%C3%A9'));
	const stream = await openStream(t, { port: server.port }, '/room/%C3%A9');
	const node = `${hostname()}:${server.port}`;
	assert.deepEqual(
		(await receiver.next(3)).map(({ time, ...event }) => event),
		[
			{ event: 'channel_opened', node, path: '/room/é' },
			{ event: 'connect', node, path: '/room/é', ip: '127.0.0.1', conn: 1 },
			{ event: 'connect', node, path: '/room/é', ip: '127.0.0.1', conn: 2 },
		],
	);
	websocket.ws.close(4_001, 'bye');
	await websocket.closed;
	stream.socket.destroy();
	const told = await receiver.next(3);
	const after = Date.now();
	for (const { time } of told) {
		assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
		assert.ok(Date.parse(String(time)) >= before && Date.parse(String(time)) <= after);
	}
	for (const { duration } of told.slice(0, 2)) {
		assert.ok(typeof duration === 'number' && duration >= 0 && duration <= (after - before + 1) / 1_000, `${duration}`);
	}
	assert.deepEqual(
		told.map(({ time, duration, ...event }) => event),
		[
			{ event: 'disconnect', node, path: '/room/é', ip: '127.0.0.1', conn: 1, cause: 'client', code: 4_001 },
			{ event: 'disconnect', node, path: '/room/é', ip: '127.0.0.1', conn: 2, cause: 'client' },
			{ event: 'channel_closed', node, path: '/room/é' },
		],
	);
	const [first] = receiver.requests;
	assert.deepEqual([first?.method, first?.path], ['POST', '/hook?key=1']);
	assert.equal(first?.headers['content-type'], 'application/json');
	assert.equal(first?.headers['x-signature'], undefined);
});

test('--endpoint names the node, and X-Forwarded-For the client of a trusted proxy', async (t) => {
	const receiver = await startReceiver(t);
	const flags = ['--endpoint', 'node1:8082', '--trust-proxy', '127.0.0.1', '--webhook-events', 'connect'];
	const server = await startTestServer(t, '--webhook', receiver.url, ...flags);
	await subscribe(t, server.ws('/'), { headers: { 'X-Forwarded-For': '203.0.113.7' } });
	const [{ time, ...event } = assert.fail()] = await receiver.next(1);
	assert.deepEqual(event, { event: 'connect', node: 'node1:8082', path: '/', ip: '203.0.113.7', conn: 1 });
});

test('events have the session that --auth gave the connection, and the channel that it chose', async (t) => {
	const receiver = await startReceiver(t);
	const service = await startService(
		t,
		answering(204, [
			['X-Session', 'alice'],
			['X-Rewrite', '/user/157'],
		]),
	);
	const server = await startTestServer(t, '--webhook', receiver.url, '--auth', service.url);
	await (await subscribe(t, server.ws('/me'))).close();
	const told = await receiver.nextUntil('channel_closed');
	assert.deepEqual(
		told.map(({ event, path, session }) => [event, path, session]),
		[
			['channel_opened', '/user/157', undefined],
			['connect', '/user/157', 'alice'],
			['disconnect', '/user/157', 'alice'],
			['channel_closed', '/user/157', undefined],
		],
		'the channel of the session itself has no events',
	);
});

test('--webhook-events chooses, and every URL gets every event', async (t) => {
	const [one, other] = [await startReceiver(t), await startReceiver(t)];
	const urls = ['--webhook', one.url, '--webhook', other.url];
	const server = await startTestServer(t, ...urls, '--webhook-events', 'disconnect,channel_opened');
	const subscriber = await subscribe(t, server.ws('/room'));
	await subscriber.close();
	await server.stop();
	for (const receiver of [one, other]) {
		assert.deepEqual(namesOf(receiver.rest()), ['channel_opened /room', 'disconnect /room']);
	}
});

test('a subscriber that does not keep up is told as slow, with what it has not read, and then as disconnected', async (t) => {
	const receiver = await startReceiver(t);
	const server = await startTestServer(t, '--webhook', receiver.url, '--max-backlog', '64KiB', '--write-timeout', '1s');
	const stalled = await subscribe(t, server.ws('/room'));
	stalled.ws.pause();
	let isTold = false;
	const telling = receiver.nextUntil('disconnect').finally(() => {
		isTold = true;
	});
	while (!isTold) await post(server.port, '/room', 'x'.repeat(60_000));
	const told = await telling;
	const [slow, disconnect] = told.slice(-2);
	assert.deepEqual([slow?.event, slow?.path, slow?.conn, slow?.ip, slow?.cause], ['slow', '/room', 1, '127.0.0.1', 'slow']);
	assert.ok(Number(slow?.backlog) > 0);
	assert.deepEqual([disconnect?.event, disconnect?.cause, disconnect?.code], ['disconnect', 'slow', 1006]);
});

test('a page that is loaded again closes and opens no channel, and a channel closes once, when it has stayed empty', async (t) => {
	const receiver = await startReceiver(t);
	const server = await startTestServer(t, '--webhook', receiver.url);
	for (let load = 0; load < 3; load++) await (await subscribe(t, server.ws('/room'))).close();
	const leftMs = performance.now();
	const told = await receiver.nextUntil('channel_closed');
	assert.ok(performance.now() - leftMs > 1_900);
	const loads = Array.from({ length: 3 }, () => ['connect /room', 'disconnect /room']).flat();
	assert.deepEqual(namesOf(told), ['channel_opened /room', ...loads, 'channel_closed /room']);
	// Its time is that of the last subscriber's leaving.
	const [left, closed] = told.slice(-2).map(({ time }) => Date.parse(String(time)));
	assert.ok(Math.abs(Number(left) - Number(closed)) <= 5);
});

test('a DELETE ends connections as the operator, and its channel is closed unless a client returns', async (t) => {
	const receiver = await startReceiver(t);
	const server = await startTestServer(t, '--webhook', receiver.url);
	const subscribers = [await subscribe(t, server.ws('/room')), await subscribe(t, server.ws('/room'))];
	const deleted = await request(server.operatorPort, { method: 'DELETE', path: '/channels/room' });
	assert.deepEqual(JSON.parse(deleted.body), { closed: 2 });
	await Promise.all(subscribers.map(({ closed }) => closed));
	const returned = await subscribe(t, server.ws('/room'));
	await returned.close();
	const told = await receiver.nextUntil('channel_closed');
	assert.deepEqual(
		told.map(({ event, cause, code }) => [event, cause, code].filter((field) => field !== undefined).join(' ')),
		[
			'channel_opened',
			'connect',
			'connect',
			'disconnect operator 1000',
			'disconnect operator 1000',
			'connect',
			'disconnect client 1005',
			'channel_closed',
		],
	);
});

test('the signature is the HMAC of the body, with the key in the file, less the newline at its end, as the documents check it', async (t) => {
	const [snippet = ''] = fenced(read('docs/operating.md'), 'js');
	const { isSigned } = await import(`data:text/javascript,${encodeURIComponent(snippet)}`);
	const receiver = await startReceiver(t);
	const file = `${temporaryFolder(t)}/secret`;
	for (const [written, key] of [
		['s3cret\n', 's3cret'],
		['s3cret\n\n', 's3cret\n'],
		['\xff\r\n', '\xff'],
	] as const) {
		writeFileSync(file, written, 'latin1');
		const server = await startTestServer(t, '--webhook', receiver.url, '--webhook-secret-file', file);
		await subscribe(t, server.ws('/room/é'));
		await receiver.nextUntil('connect');
		await server.stop();
		for (const { body, headers } of receiver.requests.splice(0)) {
			const keyBytes = Buffer.from(key, 'latin1');
			const signature = headers['x-signature'];
			assert.equal(signature, `sha256=${createHmac('sha256', keyBytes).update(body).digest('hex')}`);
			assert.deepEqual(
				[isSigned(body, signature, keyBytes), isSigned(body, signature, 'other'), isSigned(body, undefined, keyBytes)],
				[true, false, false],
			);
		}
	}
});

test('a secret that cannot be read, or is empty, stops the start', async (t) => {
	const folder = temporaryFolder(t);
	const args = (file: string) => [...anyPort, '--webhook', 'http://127.0.0.1:9/', '--webhook-secret-file', `${folder}/${file}`];
	await refuses(
		t,
		args('none'),
		`--webhook-secret-file: ${folder}/none cannot be read (ENOENT); check the path and its permissions.`,
	);
	writeFileSync(`${folder}/empty`, '\n');
	await refuses(t, args('empty'), `--webhook-secret-file: ${folder}/empty is empty; write a key into it.`);
});

test('SIGTERM sends what is queued, the ends of connections and channels too, and the command exits with 0', async (t) => {
	for (const mport of ['0', 'off']) {
		const receiver = await startReceiver(t);
		const path = `${temporaryFolder(t)}/x.sock`;
		const command = runCommand(t, ['--addr', path, '--mport', mport, '--webhook', receiver.url]);
		await command.logged('start');
		const subscribers = await Promise.all(['/a', '/a', '/b'].map((room) => subscribe(t, `ws+unix:${path}:${room}`)));
		command.child.kill('SIGTERM');
		for (const { closed } of subscribers) assert.equal((await closed).code, 1012);
		const closedMs = performance.now();
		const { code, stderr } = await command.ended;
		assert.deepEqual([code, stderr], [0, '']);
		assert.ok(performance.now() - closedMs < 4_000, 'it does not wait for --drain');
		const told = receiver.rest();
		assert.deepEqual(namesOf(told).sort(), [
			'channel_closed /a',
			'channel_closed /b',
			'channel_opened /a',
			'channel_opened /b',
			'connect /a',
			'connect /a',
			'connect /b',
			'disconnect /a',
			'disconnect /a',
			'disconnect /b',
		]);
		for (const { event, cause, code, node } of told) {
			assert.equal(node, path);
			if (event === 'disconnect') assert.deepEqual([cause, code], ['stopping', 1012]);
		}
	}
});

test('a connection that is dropped at the end of the stop, because it reads nothing, is told before the process ends', async (t) => {
	const receiver = await startReceiver(t);
	const flags = ['--webhook', receiver.url, '--webhook-events', 'disconnect', '--max-backlog', '64MiB'];
	const command = runCommand(t, [...anyPort, ...flags]);
	const port = await command.port();
	const stalled = await subscribe(t, `ws://127.0.0.1:${port}/room`);
	stalled.ws.pause();
	const operatorPort = await command.operatorPort();
	// Until messages are kept for it: its close frame then waits behind them, in the server.
	while ((await metricOf(operatorPort, 'pathcast_backlog_bytes')) === 0) await post(port, '/room', 'x'.repeat(65_536));
	command.child.kill('SIGTERM');
	const { code, stderr } = await command.ended;
	assert.deepEqual([code, stderr], [0, '']);
	assert.deepEqual(
		receiver.rest().map(({ event, conn, cause, code }) => [event, conn, cause, code]),
		[['disconnect', 1, 'stopping', 1006]],
	);
});
