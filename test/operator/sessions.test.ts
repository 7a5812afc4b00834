// Sessions as private channels: what names them, what shows them, and what does not reach or count them.
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { clientKinds, openClient } from '../support/clients.js';
import { acceptsStream, openStream } from '../support/event-stream.js';
import { handshakeHeaders, post, RawConnection, request } from '../support/http.js';
import { startNamingService } from '../support/naming-service.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const named = (name: string) => `/room?${encodeURIComponent(name)}`;

/** The path of a session in `/sessions/`. */
const sessionPath = (name: string) => `/sessions/${encodeURIComponent(name)}`;

async function lookUp({ operatorPort }: TestServer, name: string) {
	const { status, headers, body } = await request(operatorPort, { path: sessionPath(name) });
	assert.deepEqual([status, headers.get('content-type')], [200, 'application/json'], name);
	return JSON.parse(body);
}

protocol(
	'The session header in the answer of the authorisation service (`X-Session`, or what `--session-header` says) names the connection: up to 256 characters of visible ASCII, without a comma or a leading slash.',
	async (t) => {
		for (const header of ['X-Session', 'X-Kuiperbelt-Session', 'my_Session']) {
			const { url } = await startNamingService(t, header.toLowerCase());
			const flags = header === 'X-Session' ? [] : ['--session-header', header];
			const server = await startTestServer(t, '--auth', url, ...flags);
			const names = ['a', 'alice', 'Alice', 'a/b', '0', '!', '~', '%', '%41', '"\\\'', 'http://x/room', 'a;b=c', 'x'.repeat(256)];
			for (const kind of clientKinds) {
				for (const name of names) {
					const client = await openClient(t, kind, server, named(name));
					const sent = { method: 'POST', path: '/close', headers: { [header]: name }, body: `to ${name}` };
					assert.equal((await lookUp(server, name)).session, name);
					assert.equal((await request(server.operatorPort, sent)).body, '{"result":"OK"}\n', name);
					await client.end;
					assert.deepEqual(await client.textsUntilEnd(), [`to ${name}`]);
				}
			}
			for (const name of ['/', '/room', ',', 'a,b', 'a b', 'é', '😀', 'x'.repeat(257)]) {
				for (const headers of [handshakeHeaders, acceptsStream])
					assert.equal((await request(server.port, { path: named(name), headers })).status, 502, name);
			}
			assert.equal(await metric(server, 'pathcast_subscribers'), 0);
		}
	},
);

protocol(
	'A session is a private channel of that connection beside its path: no path reaches it, and `/channels` and the number of subscribers do not count it.',
	async (t) => {
		const { url, questions } = await startNamingService(t);
		for (const kind of clientKinds) {
			const server = await startTestServer(t, '--auth', url, '--max-channels', '1', '--max-subscribers', '2');
			const alice = await openClient(t, kind, server, '/room?alice');
			const bob = await openClient(t, kind, server, '/room?bob');
			const paths = ['/alice', '//alice', '/%61lice', '/./alice'];
			for (const path of paths) {
				assert.equal((await post(server.port, path, 'lost')).headers.get('x-subscribers'), '0', path);
				assert.equal((await post(server.operatorPort, `/channels${path}`, 'lost')).headers.get('x-subscribers'), '0', path);
			}
			// The engine refuses a target without a slash, or does not answer: the service is not asked about it.
			for (const target of ['alice', '%61lice', '?alice', '*', 'http://x/alice', 'http:alice']) {
				const connection = new RawConnection(server.port);
				await connection.write(`POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nlost`);
				t.after(() => connection.end());
			}
			const limits = await request(server.port, { path: '/other?eve', headers: handshakeHeaders });
			assert.equal(limits.status, 503, 'the limits count channels, and subscribers of paths');
			assert.equal((await post(server.port, '/room', 'sentinel')).headers.get('x-subscribers'), '2');
			for (const client of [alice, bob]) assert.deepEqual(await client.texts(1), ['sentinel']);
			const asked = questions.splice(0).map((fields) => fields['x-original-uri']);
			assert.deepEqual(asked, ['/room?alice', '/room?bob', ...paths, '/other?eve', '/room']);

			const shown = async (path: string) => JSON.parse((await request(server.operatorPort, { path })).body);
			assert.deepEqual((await shown('/channels')).channels, [{ channel: '/room', subscribers: 2, grouped: 0 }]);
			assert.deepEqual((await shown('/channels?prefix=/')).channels, [{ channel: '/room', subscribers: 2, grouped: 0 }]);
			assert.equal((await shown('/channels/room')).subscribers, 2);
			assert.equal((await request(server.operatorPort, { path: '/channels/alice' })).status, 404);
			const { connections, channels, subscriptions, sessions } = await shown('/stats');
			assert.deepEqual([connections, channels, subscriptions, sessions], [2, 1, 2, 2]);
			const gauges = ['channels', 'connections', 'subscribers', 'sessions', 'connections_opened_total'];
			assert.deepEqual(await Promise.all(gauges.map((name) => metric(server, `pathcast_${name}`))), [1, 2, 2, 2, 2]);
		}
	},
);

protocol(
	'`/sessions/alice` tells of each connection of that session: path, since when, and how much it has unread; 404 if there is none.',
	async (t) => {
		const { url } = await startNamingService(t, 'X-Session', { 'X-Rewrite': '/user/157/caf%C3%A9' });
		const server = await startTestServer(t, '--auth', url, '--trust-proxy', '127.0.0.1');
		const beforeMs = Date.now();
		const socket = await subscribe(t, server.ws('/me?alice/1'), { headers: { 'X-Forwarded-For': '192.0.2.7' } });
		await openStream(t, server, '/me?alice/1', { 'X-Forwarded-For': '192.0.2.8' });
		const afterMs = Date.now();
		const { session, connections } = await lookUp(server, 'alice/1');
		assert.equal(session, 'alice/1');
		assert.deepEqual(
			connections.map(({ since: _, ...others }: { since: string }) => others),
			[
				{ conn: 2, path: '/user/157/café', ip: '192.0.2.8', unread: 0 },
				{ conn: 1, path: '/user/157/café', ip: '192.0.2.7', unread: 0 },
			],
		);
		for (const { since } of connections) {
			assert.equal(new Date(since).toISOString(), since);
			assert.ok(Date.parse(since) >= beforeMs && Date.parse(since) <= afterMs);
		}

		const undecoded = await request(server.operatorPort, { path: '/sessions/alice/1?x' });
		assert.equal(JSON.parse(undecoded.body).connections.length, 2);
		for (const path of [
			'/sessions/alice',
			'/sessions/',
			'/sessions/%',
			'/sessions/%ff',
			'/sessions//me',
			'/sessions/alice%2F1%20',
		]) {
			const { status, body } = await request(server.operatorPort, { path });
			assert.deepEqual([status, body], [404, 'No connection has this session.\n'], path);
		}
		assert.equal((await request(server.operatorPort, { path: '/sessions' })).status, 404);
		await socket.close();
		while ((await lookUp(server, 'alice/1')).connections.length > 1);
	},
);

protocol('A second connection with the name of a session gets what is sent to it too, and the log warns.', async (t) => {
	const { url } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url);
	const first = await openClient(t, 'websocket', server, '/room?alice');
	assert.ok(!server.log.some(({ event }) => event === 'session'));
	const second = await openClient(t, 'event stream', server, '/other?alice');
	const third = await openClient(t, 'websocket', server, '/room?alice');
	await openClient(t, 'websocket', server, '/room?bob');
	const headers = { 'X-Session': 'alice' };
	await request(server.operatorPort, { method: 'POST', path: '/send', headers, body: 'to all three' });
	for (const client of [first, second, third]) assert.deepEqual(await client.texts(1), ['to all three']);
	assert.equal(await metric(server, 'pathcast_sessions'), 2);
	assert.equal((await lookUp(server, 'alice')).connections.length, 3);

	const warnings = server.log.filter(({ event }) => event === 'session');
	assert.deepEqual(
		warnings.map(({ level, session, path, ip, msg }) => [level, session, path, ip, msg]),
		[
			[
				// pino's number of "warn".
				40,
				'alice',
				'/other',
				'127.0.0.1',
				'a second connection has the session of one that is open: the service should give each a new one',
			],
		],
	);
	await request(server.operatorPort, { method: 'POST', path: '/close', headers, body: 'bye' });
	for (const client of [first, second, third]) {
		await client.end;
		assert.deepEqual(await client.textsUntilEnd(), ['bye']);
	}
	assert.equal(await metric(server, 'pathcast_sessions'), 1);
});

test('the log has the session of a connection in the lines of that connection', async (t) => {
	const { url } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url);
	const alice = await subscribe(t, server.ws('/room?alice'));
	const nobody = await subscribe(t, server.ws('/room'));
	alice.send('from alice');
	assert.equal(await nobody.nextText(), 'from alice');
	await alice.close();
	await nobody.close();
	while (server.log.filter(({ event }) => event === 'close').length < 2) await request(server.operatorPort, {});
	assert.deepEqual(
		server.log.filter(({ conn }) => conn !== undefined).map(({ event, session }) => [event, session]),
		[
			['open', 'alice'],
			['open', undefined],
			['publish', 'alice'],
			['close', 'alice'],
			['close', undefined],
		],
	);
});

test('X-Endpoint leads to /send of the server that asks, by the default and by --endpoint', async (t) => {
	const { url, questions } = await startNamingService(t);
	const server = await startTestServer(t, '--auth', url);
	const alice = await subscribe(t, server.ws('/room?alice'));
	assert.equal(questions.at(-1)?.['x-endpoint'], `127.0.0.1:${server.operatorPort}`);
	const sent = { method: 'POST', headers: { 'X-Session': 'alice' }, body: 'by its endpoint' };
	const answer = await fetch(`http://${questions.at(-1)?.['x-endpoint']}/send`, sent);
	assert.deepEqual([answer.status, await answer.text()], [200, '{"result":"OK"}\n']);
	assert.equal(await alice.nextText(), 'by its endpoint');

	const other = await startTestServer(t, '--auth', url, '--endpoint', 'Node1.internal:8082');
	const bob = await subscribe(t, other.ws('/room?bob'));
	assert.equal(questions.at(-1)?.['x-endpoint'], 'Node1.internal:8082');
	const toBob = (Host: string) =>
		request(other.operatorPort, { method: 'POST', path: '/send', headers: { Host, 'X-Session': 'bob' }, body: Host });
	for (const host of ['Node1.internal:8082', 'node1.internal', 'NODE1.INTERNAL:1']) {
		assert.equal((await toBob(host)).status, 200);
		assert.equal(await bob.nextText(), host);
	}
	for (const host of ['node1', 'node1.internal.example', 'x.node1.internal']) assert.equal((await toBob(host)).status, 403);

	// On all interfaces, the name of the machine.
	const everywhere = await startTestServer(t, '--auth', url, '--mport', '0.0.0.0:0');
	const dave = await subscribe(t, everywhere.ws('/room?dave'));
	const Host = questions.at(-1)?.['x-endpoint'] as string;
	assert.equal(Host, `${hostname()}:${everywhere.operatorPort}`);
	const toDave = { method: 'POST', path: '/send', headers: { Host, 'X-Session': 'dave' }, body: 'by name' };
	assert.equal((await request(everywhere.operatorPort, toDave)).status, 200);
	assert.equal(await dave.nextText(), 'by name');

	const without = await startTestServer(t, '--auth', url, '--mport', 'off');
	await subscribe(t, without.ws('/room?eve'));
	assert.equal(questions.at(-1)?.['x-endpoint'], undefined);
});
