// SIGTERM and SIGINT while the server serves a burst, waits for its authorisation service or for bodies, and drains.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { type Command, runCommand } from '../../support/command.js';
import { knock } from '../../support/doors.js';
import { RawConnection, request } from '../../support/http.js';
import { allow, hold, startService } from '../../support/service.js';
import { subscribe, subscribeMany } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm, isQuick } from '../support/torture.js';
import { type BuiltServer, startBuilt } from './support/built-server.js';
import { fault } from './support/fault.js';

fault(
	'SIGTERM while upgrades, event streams and POSTs wait for the authorisation service',
	'Those that wait to subscribe get 503 at once. POSTs are finished, reach all subscribers, and then these are closed with 1012.',
	async (t) => {
		const service = await startService(t, allow);
		const server = await startBuilt(t, ['--auth', service.url]);
		const subscriber = await subscribe(t, server.ws('/room'));
		service.script = hold;
		const each = inForm(50, 80);
		await service.next();
		const waiting = (door: 'websocket' | 'event stream' | 'POST') =>
			Array.from({ length: each }, () => knock(server.port, door, '/room'));
		const [upgrades, streams, posts] = [waiting('websocket'), waiting('event stream'), waiting('POST')];
		const questions = await service.take(3 * each);
		server.command.child.kill('SIGTERM');
		for (const connection of [...upgrades, ...streams]) assert.equal((await connection.answer()).status, 503);
		for (const question of questions) if (question.field('X-Original-Action') === 'publish') question.answer(204);
		for (const connection of posts) {
			const { status, headers } = await connection.answer();
			assert.deepEqual([status, headers.get('x-subscribers')], [200, '1']);
		}
		const texts = await subscriber.textsUntilClosed(1012);
		assert.deepEqual(
			texts,
			Array.from({ length: each }, () => 'hello'),
		);
		for (const connection of [...upgrades, ...streams, ...posts]) connection.end();
		assert.deepEqual([(await server.command.ended).code, server.command.stderr], [0, '']);
		return `${2 * each} got 503, ${texts.length} of ${each} POSTs arrived; exit code 0`;
	},
);

fault(
	'SIGTERM while the bodies of POSTs are coming',
	'What is complete within five seconds is published before the subscribers are closed with 1012.',
	async (t) => {
		const server = await startBuilt(t);
		const subscriber = await subscribe(t, server.ws('/room'));
		const count = inForm(100, 500);
		const posts = Array.from({ length: count }, () => new RawConnection(server.port));
		const head = 'POST /room HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n';
		for (const connection of posts) {
			await connection.write(head);
			assert.equal((await connection.answer()).status, 100);
			await connection.write('fin');
		}
		server.command.child.kill('SIGTERM');
		await server.command.logged('stop');
		for (const connection of posts) await connection.write('ish');
		for (const connection of posts) assert.equal((await connection.answer()).headers.get('x-subscribers'), '1');
		const texts = await subscriber.textsUntilClosed(1012);
		assert.deepEqual(
			texts,
			Array.from({ length: count }, () => 'finish'),
		);
		for (const connection of posts) connection.end();
		assert.deepEqual([(await server.command.ended).code, server.command.stderr], [0, '']);
		return `${texts.length} of ${count} arrived; exit code 0`;
	},
);

/** Each starts a server that waits after its first signal. Gives the command, and the UNIX socket that must be gone when it has exited. */
const phases: readonly ((t: TestContext) => Promise<{ command: Command; socket?: string }>)[] = [
	async (t) => {
		const server = await startBuilt(t, ['--drain', '1h']);
		await subscribeMany(t, 200, () => server.ws('/room'));
		return server;
	},
	(t) => startBuilt(t, ['--drain-delay', '1h']),
	async (t) => {
		const service = await startService(t, hold);
		const server = await startBuilt(t, ['--auth', service.url, '--auth-timeout', '60s']);
		knock(server.port, 'POST');
		await service.next();
		return server;
	},
	async (t) => {
		// A peer that does not close in its turn holds the stop for a second.
		const socket = `${temporaryFolder(t)}/pathcast.sock`;
		const command = runCommand(t, ['--addr', socket, '--mport', 'off']);
		await command.logged('start');
		(await subscribe(t, `ws+unix:${socket}:/room`)).ws.pause();
		return { command, socket };
	},
];

fault(
	'a second SIGTERM or SIGINT while the server drains, waits for `--drain-delay`, for a POST that is judged, or for a peer',
	'It exits at once, with 1.',
	async (t) => {
		const pairs = (['SIGTERM', 'SIGINT'] as const).flatMap((first) => [[first, 'SIGTERM'] as const, [first, 'SIGINT'] as const]);
		const tried = isQuick ? pairs.slice(1, 3) : pairs;
		for (const [first, second] of tried) {
			await Promise.all(
				phases.map(async (begin) => {
					const { command, socket } = await begin(t);
					command.child.kill(first);
					await command.logged('stop');
					command.child.kill(second);
					const { code, signal, stderr } = await command.ended;
					assert.deepEqual([code, signal, stderr], [1, null, '']);
					assert.ok(socket === undefined || !existsSync(socket), 'the socket is gone since the first signal');
				}),
			);
		}
		return `${phases.length * tried.length} exits, each with 1 and nothing on standard error`;
	},
);

fault(
	'SIGTERM in a burst of POSTs to 50 subscribers',
	'Every subscriber gets all that was accepted before its close frame (1012), in one order; the exit code is 0.',
	async (t) => {
		const server = await startBuilt(t);
		const subscribers = await subscribeMany(t, 50, () => server.ws('/room'));
		const heard = Promise.all(subscribers.map((subscriber) => subscriber.textsUntilClosed(1012)));
		const reached = new Map<string, number>();
		const publishers = Array.from({ length: 8 }, (_, publisher) => publishUntilGone(server, publisher, reached));
		await becomes(() => reached.size > inForm(500, 5_000));
		server.command.child.kill('SIGTERM');
		await Promise.all(publishers);
		const all = await heard;
		const heardBy = new Map<string, number>();
		const longest = all.reduce((one, other) => (other.length > one.length ? other : one));
		for (const texts of all) {
			assert.deepEqual(texts, longest.slice(0, texts.length));
			for (const text of texts) heardBy.set(text, (heardBy.get(text) ?? 0) + 1);
		}
		for (const [text, subscriberCount] of reached) assert.equal(heardBy.get(text) ?? 0, subscriberCount, text);
		assert.deepEqual([(await server.command.ended).code, server.command.stderr], [0, '']);
		return `${reached.size} accepted POSTs reached exactly the subscribers that their answers counted; ${longest.length} messages at the most`;
	},
);

/** Publishes one message after another, and notes how many subscribers each answer counts, until the server has gone. */
async function publishUntilGone({ port }: BuiltServer, publisher: number, reached: Map<string, number>): Promise<void> {
	for (let i = 0; ; i++) {
		const body = `${publisher} ${i}`;
		const answer = await request(port, { method: 'POST', path: '/room', body }).catch(() => undefined);
		if (answer === undefined) return;
		reached.set(body, Number(answer.headers.get('x-subscribers')));
	}
}

fault(
	'`/drain?over=`, twice, then SIGTERM, under load',
	'Each call takes the place of the one before. Every client is closed with 1012, once, after its last message.',
	async (t) => {
		const server = await startBuilt(t, ['--drain', '1s']);
		const operator = (query: string) => request(server.operatorPort, { method: 'POST', path: `/drain${query}` });
		const clients = inForm(300, 2_000);
		const crowd = await subscribeMany(t, clients, () => server.ws('/room'));
		const heard = Promise.all(crowd.map((subscriber) => subscriber.textsUntilClosed(1012)));
		const reached = new Map<string, number>();
		const publishing = publishUntilGone(server, 0, reached);
		assert.equal((await operator('?over=1h')).status, 202);
		assert.equal((await operator('?over=2s')).status, 202);
		await becomes(async () => (await server.metric('pathcast_connections')) < clients * 0.8);
		server.command.child.kill('SIGTERM');
		await server.command.logged('stop');
		assert.equal((await operator('?over=0s')).status, 409);
		assert.equal((await operator('')).status, 202);
		await publishing;
		const all = await heard;
		const heardBy = new Map<string, number>();
		for (const texts of all) {
			assert.deepEqual(
				texts,
				texts.map((_, i) => `0 ${i}`),
			);
			for (const text of texts) heardBy.set(text, (heardBy.get(text) ?? 0) + 1);
		}
		for (const [text, count] of reached) assert.equal(heardBy.get(text) ?? 0, count, text);
		assert.deepEqual([(await server.command.ended).code, server.command.stderr], [0, '']);
		return `${all.length} of ${clients} closed with 1012, none with a gap in ${reached.size} messages; exit code 0`;
	},
);
