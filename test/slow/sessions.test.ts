// Connections with a session that do not keep up, or are closed in the midst of a burst: their path and their session are two channels.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Client, type ClientKind, clientKinds, endOf, openClient } from '../support/clients.js';
import { post, RawConnection, request } from '../support/http.js';
import { startNamingService } from '../support/naming-service.js';
import { protocol } from '../support/protocol.js';
import { seededRandom } from '../support/random.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';

const slowCut = 'pathcast_disconnects_total{reason="slow"}';
const kept = (server: TestServer) => metric(server, 'pathcast_backlog_bytes');
const isSessionOpen = async ({ operatorPort }: TestServer) =>
	(await request(operatorPort, { path: '/sessions/alice' })).status === 200;

/** A client of /room whose session is alice, and messages to either, numbered so that a gap shows. */
class Alice {
	readonly published = { path: 0, session: 0 };
	readonly #seen = { path: 0, session: 0 };

	constructor(
		readonly server: TestServer,
		readonly client: Client,
	) {}

	async publish(channel: 'path' | 'session', bytes = 64_000): Promise<void> {
		const body = `${channel} ${this.published[channel]++} `.padEnd(bytes, 'x');
		const { operatorPort } = this.server;
		const { status } =
			channel === 'path'
				? await post(operatorPort, '/channels/room', body)
				: await request(operatorPort, { method: 'POST', path: '/send', headers: { 'X-Session': 'alice' }, body });
		assert.equal(status, 200);
	}

	/** Publishes until something is kept for this client, which does not read. */
	async publishUntilKept(channel: 'path' | 'session'): Promise<void> {
		while ((await kept(this.server)) === 0) {
			assert.ok(this.published[channel] < 10_000, 'it does not fall behind');
			// Mostly short ones once it lags: the second look has to come before the client has too much unread.
			const isLagging = (await metric(this.server, 'pathcast_lagging_subscribers')) > 0;
			await this.publish(channel, isLagging && this.published[channel] % 50 > 0 ? 10 : 64_000);
		}
	}

	/** Holds that the texts are the next ones of their channels. */
	see(texts: readonly string[]): void {
		for (const text of texts) {
			const [channel, number] = text.split(' ') as ['path' | 'session', string];
			assert.equal(number, String(this.#seen[channel]++), channel);
		}
	}

	/** Reads everything that has been published. */
	async readAll(): Promise<void> {
		const { path, session } = this.published;
		this.see(await this.client.texts(path + session - this.#seen.path - this.#seen.session));
		assert.deepEqual(this.#seen, this.published);
	}
}

async function openAlice(t: TestContext, kind: ClientKind, server: TestServer): Promise<Alice> {
	return new Alice(server, await openClient(t, kind, server, '/room?alice'));
}

protocol(
	'A connection that is slow on its path or its session is slow as a whole: it catches up on both without a gap, or is disconnected.',
	async (t) => {
		const { url } = await startNamingService(t);
		for (const kind of clientKinds) {
			const patient = await startTestServer(t, '--auth', url, '--max-backlog', '64MiB', '--log-level', 'info');
			const alice = await openAlice(t, kind, patient);
			for (const slowOn of ['path', 'session'] as const) {
				alice.client.pause();
				await alice.publishUntilKept(slowOn);
				for (let i = 0; i < 20; i++) {
					await alice.publish('path');
					await alice.publish('session');
				}
				// Both channels keep what they publish now.
				assert.ok((await kept(patient)) >= 40 * 64_000);
				const { connections } = JSON.parse((await request(patient.operatorPort, { path: '/sessions/alice' })).body);
				assert.ok(connections[0].unread >= 40 * 64_000);
				alice.client.resume();
				await alice.publish('session');
				await alice.publish('path');
				await alice.readAll();
				while ((await kept(patient)) > 0 || (await metric(patient, 'pathcast_lagging_subscribers')) > 0) await turn();
				// The fan-out reaches it again, on both.
				for (const channel of ['session', 'path', 'path', 'session'] as const) await alice.publish(channel, 10);
				await alice.readAll();
			}

			for (const slowOn of ['path', 'session'] as const) {
				const strict = await startTestServer(t, '--auth', url, '--max-backlog', '256KiB', '--log-level', 'info');
				const cut = await openAlice(t, kind, strict);
				const other = slowOn === 'path' ? 'session' : 'path';
				cut.client.pause();
				for (let i = 0; (await isSessionOpen(strict)) && i < 2_000; i++) {
					await cut.publish(slowOn);
					if (i % 50 === 0 && (await isSessionOpen(strict))) await cut.publish(other, 10);
				}
				assert.equal(await metric(strict, slowCut), 1);
				assert.equal(await metric(strict, 'pathcast_subscribers'), 0);
				const { path, session } = strict.log.find(({ event }) => event === 'slow') ?? {};
				assert.deepEqual([path, session], ['/room', 'alice']);
				cut.client.resume();
				assert.equal(await cut.client.end, kind === 'websocket' ? '1006' : 'cut');
				cut.see(await cut.client.textsUntilEnd());
			}
		}
	},
);

for (const kind of clientKinds) {
	test(`a connection with a session that pauses and reads on, again and again, misses nothing on either channel: ${kind}`, async (t) => {
		const random = seededRandom(t);
		const { url } = await startNamingService(t);
		const server = await startTestServer(t, '--auth', url, '--max-backlog', '64MiB', '--log-level', 'info');
		const alice = await openAlice(t, kind, server);
		const sizes = [10, 130, 1_000, 17_000, 65_000];
		for (let round = 0; round < 12; round++) {
			alice.client.pause();
			if (round % 3 === 0) await alice.publishUntilKept(random.below(2) === 0 ? 'path' : 'session');
			for (let i = random.below(100); i > 0; i--)
				await alice.publish(random.below(2) === 0 ? 'path' : 'session', sizes[random.below(sizes.length)]);
			alice.client.resume();
			// Sometimes it is paused again before it has caught up.
			if (round % 2 === 0) await alice.readAll();
		}
		await alice.readAll();
		const { path, session } = alice.published;
		assert.equal(await metric(server, 'pathcast_deliveries_total'), path + session);
	});

	test(`a slow connection with a session that is closed gets what was published on both channels before: ${kind}`, async (t) => {
		const { url } = await startNamingService(t);
		const server = await startTestServer(t, '--auth', url, '--max-backlog', '64MiB', '--log-level', 'info');
		const post = (path: string, headers = {}) => request(server.operatorPort, { method: 'POST', path, headers });
		const endings: [code: number, reason: string, end: () => Promise<unknown>][] = [
			[1000, 'the session was closed', () => post('/close', { 'X-Session': 'alice' })],
			[1000, 'the channel was closed', () => post('/close', { 'X-Channel': '/room' })],
			[1012, 'connections are being moved; connect again', () => post('/drain?over=0s')],
			[1012, 'the server is restarting; connect again', async () => void server.stop()],
		];
		for (const [code, reason, end] of endings) {
			for (const slowOn of ['path', 'session'] as const) {
				// A server stops once.
				if (reason.startsWith('the server') && slowOn === 'path') continue;
				const alice = await openAlice(t, kind, server);
				alice.client.pause();
				await alice.publishUntilKept(slowOn);
				for (let i = 0; i < 10; i++) {
					await alice.publish('session');
					await alice.publish('path');
				}
				await end();
				if (reason === 'the session was closed') {
					assert.equal(JSON.parse((await request(server.operatorPort, { path: '/stats' })).body).closing_connections, 1);
					// Its name is free while it reads: nothing is sent to it that it would not get.
					assert.equal((await request(server.operatorPort, { path: '/sessions/alice' })).status, 404);
					assert.match((await post('/send', { 'X-Session': 'alice' })).body, /"result":"NG"/);
				}
				alice.client.resume();
				assert.equal(await alice.client.end, endOf(kind, code, reason));
				const texts = await alice.client.textsUntilEnd();
				alice.see(texts);
				assert.equal(texts.length, alice.published.path + alice.published.session, reason);
			}
		}
	});

	test(`a connection that is closed in the midst of bursts to its path and its session gets both whole: ${kind}`, async (t) => {
		const { url } = await startNamingService(t, 'X-Session', { 'X-Max-Age': '1' });
		// So small that a burst takes several ticks, with rests between them.
		const flags = ['--auth', url, '--max-message', '1KiB', '--max-backlog', '64KiB'];
		for (const [path, code, reason] of [
			['/drain?over=0s', 1012, 'connections are being moved; connect again'],
			['/drain', 1012, 'the server is restarting; connect again'],
			['/', 1008, 'authorisation expired'],
		] as const) {
			const server = await startTestServer(t, ...flags);
			const client = await openClient(t, kind, server, '/room?alice');
			const requests = Array.from({ length: 200 }, (_, i) => {
				const body = `${i} `.padEnd(900, 'x');
				const fields = i % 2 === 0 ? 'X-Session: alice' : 'X-Channel: /room';
				return `POST /send HTTP/1.1\r\n${fields}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
			});
			const operator = new RawConnection(server.operatorPort);
			await operator.write(requests.join(''));
			for (const _ of requests) await operator.answer();
			// Some of them still wait for their turn.
			assert.ok(JSON.parse((await request(server.operatorPort, { path: '/stats' })).body).backlog > 0);
			await operator.write(`POST ${path} HTTP/1.1\r\nContent-Length: 0\r\n\r\n`);
			assert.equal(await client.end, endOf(kind, code, reason));
			const numbers = (await client.textsUntilEnd()).map((text) => Number(text.split(' ')[0]));
			for (const remainder of [0, 1]) {
				assert.deepEqual(
					numbers.filter((number) => number % 2 === remainder),
					Array.from({ length: 100 }, (_, i) => 2 * i + remainder),
				);
			}
			operator.end();
			if (path !== '/drain') assert.equal(await metric(server, 'pathcast_sessions'), 0);
		}
	});
}

test('--max-age closes connections with a session, and the sessions end with them', async (t) => {
	const { url } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url, '--max-age', '1s');
	for (const kind of clientKinds) {
		const client = await openClient(t, kind, server, '/room?alice');
		assert.ok(await isSessionOpen(server));
		assert.equal(await client.end, endOf(kind, 1012, 'the connection has reached --max-age; connect again'));
		assert.equal(await isSessionOpen(server), false);
	}
	assert.equal(await metric(server, 'pathcast_sessions'), 0);
});
