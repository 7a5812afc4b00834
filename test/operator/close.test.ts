// A POST to /close: what is closed, and what its subscribers get before.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientKind, clientKinds, endOf, openClient } from '../support/clients.js';
import { numbered } from '../support/gapless.js';
import { type Answer, post, RawConnection, type Request, request } from '../support/http.js';
import { startNamingService } from '../support/naming-service.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';

function close({ operatorPort }: TestServer, headers: NonNullable<Request['headers']>, body?: string): Promise<Answer> {
	return request(operatorPort, { method: 'POST', path: '/close', headers, ...(body !== undefined && { body }) });
}

const closedSession = (kind: ClientKind) => endOf(kind, 1000, 'the session was closed');
const closedChannel = (kind: ClientKind) => endOf(kind, 1000, 'the channel was closed');

const texts = Array.from({ length: 100 }, (_, i) => numbered(i, 900));
const numbers = texts.map((_, i) => String(i));
const beginnings = (heard: readonly string[] = []) => heard.map((text) => text.split(' ')[0]);
const withoutBye = (heard: readonly (string | undefined)[]) => heard.filter((text) => text !== 'bye');

/** Requests to the operator's listener that come in one write. */
function pipelined(requests: readonly (readonly [path: string, fields: string, body: string])[]): string {
	return requests
		.map(([path, fields, body]) => `POST ${path} HTTP/1.1\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`)
		.join('');
}

protocol(
	'A POST to `/close` does the same, and then closes these connections with 1000, after everything that was published to them.',
	async (t) => {
		const { url } = await startNamingService(t);
		for (const kind of clientKinds) {
			// So small that a burst takes several ticks, with rests between them.
			const server = await startTestServer(t, '--auth', url, '--max-message', '1KiB', '--max-backlog', '64KiB');
			const names = ['alice', 'bob', 'eve'];
			const [alice, bob, eve] = await Promise.all(names.map((name) => openClient(t, kind, server, `/room?${name}`)));
			const operator = new RawConnection(server.operatorPort);
			await operator.write(
				pipelined([
					...texts.map((text) => ['/send', 'X-Session: alice\r\nX-Channel: /room\r\n', text] as const),
					['/close', 'X-Session: alice, bob\r\nX-Session: nobody\r\n', 'bye'],
				]),
			);
			for (const _ of texts) assert.equal((await operator.answer()).body, '{"result":"OK"}\n');
			assert.equal(
				(await operator.answer()).body,
				'{"errors":[{"error":"session is not found.","session":"nobody"}],"result":"OK"}\n',
			);
			operator.end();
			for (const client of [alice, bob]) assert.equal(await client?.end, closedSession(kind));
			const [toBob, toAlice] = [beginnings(await bob?.textsUntilEnd()), beginnings(await alice?.textsUntilEnd())];
			assert.deepEqual(withoutBye(toBob), numbers);
			// Each channel has its own order, so that the last message of the session may come before those of the path.
			assert.deepEqual(withoutBye(toAlice).sort(), [...numbers, ...numbers].sort());
			for (const heard of [toBob, toAlice]) assert.ok(heard.includes('bye'));

			await post(server.port, '/room', 'still open');
			assert.deepEqual((await eve?.texts(101))?.at(-1), 'still open');
			assert.equal((await request(server.operatorPort, { path: '/sessions/alice' })).status, 404);
			assert.equal(await metric(server, 'pathcast_sessions'), 1);
			assert.equal(await metric(server, 'pathcast_disconnects_total{reason="operator"}'), 2);
		}
	},
);

for (const kind of clientKinds) {
	test(`a POST to /close without a body only closes: ${kind}`, async (t) => {
		const { url } = await startNamingService(t);
		const server = await startTestServer(t, '--auth', url);
		for (const body of ['', undefined]) {
			const alice = await openClient(t, kind, server, '/room?alice');
			assert.equal((await close(server, { 'X-Session': 'alice' }, body)).body, '{"result":"OK"}\n');
			assert.equal(await alice.end, closedSession(kind));
			assert.deepEqual(await alice.textsUntilEnd(), []);
		}
		assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 0);
	});

	test(`a POST to /close with X-Channel closes every subscriber of the channel after the last message: ${kind}`, async (t) => {
		const { url } = await startNamingService(t);
		const server = await startTestServer(t, '--auth', url);
		const open = (path: string) => openClient(t, kind, server, path);
		const [named, unnamed, bob, other] = await Promise.all(['/room?alice', '/room', '/other?bob', '/other'].map(open));
		const answer = await close(server, { 'X-Session': 'bob', 'X-Channel': ['/room', '/nobody'] }, 'bye');
		assert.deepEqual([answer.status, answer.body], [200, '{"result":"OK"}\n']);
		for (const client of [named, unnamed]) assert.equal(await client?.end, closedChannel(kind));
		assert.equal(await bob?.end, closedSession(kind));
		for (const client of [named, unnamed, bob]) assert.deepEqual(await client?.textsUntilEnd(), ['bye']);
		await post(server.port, '/other', 'still open');
		assert.deepEqual(await other?.texts(1), ['still open']);
	});

	test(`a channel that is closed delivers what was sent to the sessions of its subscribers before: ${kind}`, async (t) => {
		const { url } = await startNamingService(t);
		const closings: [method: string, path: string, fields: string][] = [
			['POST', '/close', 'X-Channel: /room\r\n'],
			['DELETE', '/channels/room', ''],
		];
		for (const [method, path, fields] of closings) {
			const server = await startTestServer(t, '--auth', url, '--max-message', '1KiB', '--max-backlog', '64KiB');
			const alice = await openClient(t, kind, server, '/room?alice');
			const operator = new RawConnection(server.operatorPort);
			const burst = pipelined(texts.map((text) => ['/send', 'X-Session: alice\r\n', text]));
			await operator.write(`${burst}${method} ${path} HTTP/1.1\r\n${fields}Content-Length: 3\r\n\r\nbye`);
			assert.equal(await alice.end, closedChannel(kind));
			const heard = beginnings(await alice.textsUntilEnd());
			assert.ok(heard.includes('bye'));
			assert.deepEqual(withoutBye(heard), numbers);
			operator.end();
		}
	});
}

test('a session that is closed has no name any more for a client that comes with it afterwards', async (t) => {
	const { url } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url);
	for (let round = 0; round < 3; round++) {
		const alice = await openClient(t, 'websocket', server, '/room?alice');
		await request(server.operatorPort, { method: 'POST', path: '/send', headers: { 'X-Session': 'alice' }, body: `${round}` });
		await close(server, { 'X-Session': 'alice' }, 'bye');
		await alice.end;
		assert.deepEqual(await alice.textsUntilEnd(), [String(round), 'bye']);
	}
	assert.equal(server.log.filter(({ event }) => event === 'session').length, 0);
});
