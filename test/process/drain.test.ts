import assert from 'node:assert/strict';
import { anyPort, type Command, runCommand } from '../support/command.js';
import { handshakeHeaders, post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { closeEvenly, subscribe, subscribeMany } from '../support/subscriber.js';

const restarting = { code: 1012, reason: 'the server is restarting; connect again' };

/** Sends a signal and waits until it is being followed. */
async function signal(command: Command, name: NodeJS.Signals): Promise<void> {
	command.child.kill(name);
	await command.logged('stop');
}

protocol(
	'From 200 websockets on, they are closed evenly over `--drain` (5s), at most 200 in each tick; fewer go at once.',
	async (t) => {
		const many = runCommand(t, [...anyPort, '--drain', '2s']);
		const port = await many.port();
		const subscribers = await subscribeMany(t, 4_000, (i) => `ws://127.0.0.1:${port}/room/${i % 40}`);
		for (let i = 0; i < 40; i++) assert.equal((await post(port, `/room/${i}`, 'last')).headers.get('x-subscribers'), '100');
		const spread = closeEvenly(subscribers, 2_000);
		await signal(many, 'SIGTERM');
		await spread;
		for (const subscriber of subscribers) {
			assert.equal(await subscriber.nextText(), 'last');
			assert.deepEqual(await subscriber.closed, restarting);
		}
		assert.deepEqual([(await many.ended).code, many.stderr], [0, '']);

		const few = runCommand(t, [...anyPort, '--drain', '1h']);
		const fewPort = await few.port();
		const others = await subscribeMany(t, 199, () => `ws://127.0.0.1:${fewPort}/room`);
		few.child.kill('SIGINT');
		for (const { closed } of others) assert.deepEqual(await closed, restarting);
		assert.equal((await few.ended).code, 0);
	},
);

protocol(
	'Messages that are published meanwhile reach the websockets that are not closed yet, in order, before their close frame.',
	async (t) => {
		const command = runCommand(t, [...anyPort, '--drain', '1s']);
		const [port, operatorPort] = [await command.port(), await command.operatorPort()];
		const subscribers = await subscribeMany(t, 1_000, () => `ws://127.0.0.1:${port}/room`);
		const heard = Promise.all(subscribers.map((subscriber) => subscriber.textsUntilClosed(1012)));
		await signal(command, 'SIGTERM');

		// One after another, each as soon as the one before was answered, until the server has gone.
		const reached: number[] = [];
		const operator = new RawConnection(operatorPort);
		try {
			for (;;) {
				const body = String(reached.length);
				await operator.write(`POST /channels/room HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
				reached.push(Number((await operator.answer()).headers.get('x-subscribers')));
			}
		} catch (error) {
			assert.match(String(error), /the connection was closed/);
		}
		const heardBy = reached.map(() => 0);
		for (const texts of await heard) {
			for (const [i, text] of texts.entries()) {
				assert.equal(text, String(i));
				heardBy[i] = (heardBy[i] ?? 0) + 1;
			}
		}
		assert.deepEqual(heardBy, reached);
		assert.ok(reached.some((count) => count > 0 && count < 1_000));
		assert.equal((await command.ended).code, 0);
	},
);

protocol(
	'Connections that peers leave open then are dropped after a second, or after five if some still have messages to read; the command exits with 0.',
	async (t) => {
		const limits = ['--max-message', '1MiB', '--max-backlog', '64MiB'];
		// More than the system itself takes for a peer that reads nothing.
		for (const messages of [0, 20]) {
			const command = runCommand(t, [...anyPort, ...limits]);
			const port = await command.port();
			const stalled = await subscribe(t, `ws://127.0.0.1:${port}/room`);
			const slow = await subscribe(t, `ws://127.0.0.1:${port}/room`);
			for (const { ws } of [stalled, slow]) ws.pause();
			const keptAlive = new RawConnection(port);
			await keptAlive.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
			await keptAlive.answer();
			const texts = Array.from({ length: messages }, (_, i) => `${i} ${'x'.repeat(1_000_000)}`);
			for (const text of texts) assert.equal((await post(port, '/room', text)).status, 200);
			await signal(command, 'SIGTERM');
			const stoppingMs = performance.now();
			slow.ws.resume();
			const heard = await slow.textsUntilClosed(1012);
			assert.ok(heard.length === messages && heard.every((text, i) => text === texts[i]));
			assert.deepEqual([(await command.ended).code, command.stderr], [0, '']);
			const tookMs = performance.now() - stoppingMs;
			const expectedMs = messages === 0 ? 1_000 : 5_000;
			assert.ok(tookMs > expectedMs - 200 && tookMs < expectedMs + 3_000, `${tookMs} ms`);
			await keptAlive.closed;
		}
	},
);

protocol(
	'While the server stops, `/readyz` is 503 and upgrades get 503 with `Retry-After`; for `--drain-delay` (0s) it goes on listening and serves all else.',
	async (t) => {
		const command = runCommand(t, [...anyPort, '--drain-delay', '3s']);
		const [port, operatorPort] = [await command.port(), await command.operatorPort()];
		const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room`);
		const ready = () => request(operatorPort, { path: '/readyz' });
		assert.equal((await ready()).status, 200);
		await signal(command, 'SIGTERM');
		const stoppingMs = performance.now();

		const { status, body } = await ready();
		assert.deepEqual([status, body], [503, 'stopping\n']);
		const upgrade = await request(port, { path: '/room', headers: handshakeHeaders });
		assert.deepEqual(
			[upgrade.status, upgrade.headers.get('retry-after'), upgrade.body],
			[503, '1', 'The server is stopping: connect again in a moment.\n'],
		);
		assert.equal((await request(operatorPort, { path: '/healthz' })).status, 200);
		assert.equal((await post(port, '/room', 'by POST')).headers.get('x-subscribers'), '1');
		subscriber.send('by websocket');
		assert.deepEqual(await subscriber.texts(2), ['by POST', 'by websocket']);
		assert.deepEqual(await subscriber.closed, restarting);
		assert.ok(performance.now() - stoppingMs > 2_500);
		assert.equal((await command.ended).code, 0);
	},
);

protocol(
	'While the server stops, POSTs, PUTs and refused requests are answered with `Connection: close`, and the connection is closed.',
	async (t) => {
		const command = runCommand(t, [...anyPort, '--drain-delay', '3s']);
		const port = await command.port();
		const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room`);
		const publish = (method: string, body: string) =>
			`${method} /room HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
		const upgrade = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
		const cases: [request: string, rest: string, statuses: number[]][] = [
			[publish('POST', 'POST'), '', [200]],
			[publish('PUT', 'PUT'), '', [200]],
			[publish('POST', 'in two pieces').slice(0, -7), ' pieces', [200]],
			// What has arrived is answered. The client may look at the first answer alone (RFC 9112, section 9.6).
			[publish('POST', 'pipelined 1') + publish('POST', 'pipelined 2'), '', [200, 200]],
			[publish('POST', '\xff'), '', [400]],
			['DELETE /room HTTP/1.1\r\nHost: x\r\n\r\n', '', [405]],
			[`GET /room HTTP/1.1\r\nHost: x\r\n${upgrade.join('')}\r\n`, '', [503]],
		];
		const connections = await Promise.all(
			cases.map(async ([bytes, rest, statuses]) => {
				const connection = new RawConnection(port);
				await connection.write(publish('POST', ''));
				assert.equal((await connection.answer()).headers.has('connection'), false);
				return { connection, bytes, rest, statuses };
			}),
		);
		await signal(command, 'SIGTERM');
		for (const { connection, bytes, rest, statuses } of connections) {
			await connection.write(bytes);
			if (rest !== '') await connection.write(rest);
			for (const status of statuses) {
				const answer = await connection.answer();
				assert.deepEqual([answer.status, answer.headers.get('connection')], [status, 'close'], bytes);
			}
			await connection.closed;
		}
		assert.deepEqual(await subscriber.textsUntilClosed(1012), ['POST', 'PUT', 'in two pieces', 'pipelined 1', 'pipelined 2']);
		assert.equal((await command.ended).code, 0);
	},
);

protocol('A second `/drain` while the server stops is answered with 202 and changes nothing.', async (t) => {
	const command = runCommand(t, [...anyPort, '--drain-delay', '2s']);
	const [port, operatorPort] = [await command.port(), await command.operatorPort()];
	const subscriber = await subscribe(t, `ws://127.0.0.1:${port}/room`);
	const drain = (query = '') => request(operatorPort, { method: 'POST', path: `/drain${query}` });
	assert.equal((await drain()).status, 202);
	assert.equal((await request(operatorPort, { path: '/readyz' })).status, 503);
	const { status, body } = await drain();
	assert.deepEqual([status, body], [202, 'The server is stopping already.\n']);
	// The first signal after it is what a supervisor sends whose hook has called /drain.
	command.child.kill('SIGTERM');
	await command.until(() => /SIGTERM: stopping/.exec(command.stdout) ?? undefined);
	await post(port, '/room', 'last');
	assert.deepEqual(await subscriber.textsUntilClosed(1012), ['last']);
	assert.equal((await command.ended).code, 0);
});
