import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { InFlight } from '#src/http/in-flight.js';
import { type Endpoint, text } from '#src/operator/endpoint.js';
import { boundPort, startOperatorListener } from '#src/operator/listener.js';
import { handshakeHeaders, post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

protocol(
	'`/` lists what is there, one line each; HEAD works where GET does; other paths are 404, other methods 405 with `Allow`.',
	async (t) => {
		const { operatorPort } = await startTestServer(t);
		const list = await request(operatorPort, {});
		assert.match(list.headers.get('content-type') ?? '', /^text\/plain/);
		const paths = list.body.trimEnd().split('\n');
		for (const line of paths) assert.match(line, /^[A-Z]+(, [A-Z]+)* +\/\S* +\S.*$/);
		for (const path of ['/metrics', '/healthz', '/readyz', '/stats', '/'])
			assert.equal(paths.filter((line) => line.split(/ +/)[1] === path).length, 1, path);

		for (const path of ['/', '/healthz', '/readyz', '/stats']) {
			const got = await request(operatorPort, { path: `${path}?x=1` });
			const head = await request(operatorPort, { path, method: 'HEAD' });
			for (const answer of [got, head]) (answer.headers as Map<string, string>).delete('date');
			assert.deepEqual([head.status, head.body, head.headers], [200, '', got.headers]);
			const wrong = await request(operatorPort, { path, method: 'POST', body: 'x' });
			assert.deepEqual(
				[wrong.status, wrong.headers.get('allow'), wrong.body],
				[405, 'GET, HEAD', 'The methods here are GET, HEAD.\n'],
			);
		}
		for (const path of ['/room', '/metrics/', '//', '/__proto__', '/%6detrics', '*', 'http://localhost/metrics']) {
			const { status, body } = await request(operatorPort, { path, method: path === '*' ? 'OPTIONS' : 'GET' });
			assert.deepEqual([status, body], [404, 'Nothing is here; / lists what there is.\n'], path);
		}
	},
);

/** The status of a GET with exactly these header lines. */
async function statusOf(port: number, path: string, ...lines: string[]): Promise<number> {
	const connection = new RawConnection(port);
	await connection.write(`GET ${path} HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
	const { status, body } = await connection.answer();
	connection.end();
	if (status !== 200) assert.match(body, /^[A-Z][^\n]{20,}\.\n$/);
	return status;
}

protocol(
	"Web pages cannot reach it through an operator's browser: a request with an `Origin` is refused with 403.",
	async (t) => {
		const server = await startTestServer(t);
		const everywhere = await startTestServer(t, '--mport', '0.0.0.0:0');
		for (const { operatorPort } of [server, everywhere]) {
			for (const path of ['/', '/metrics', '/healthz', '/nothing']) {
				for (const origin of ['https://evil.example', 'null', `http://localhost:${operatorPort}`, ''])
					assert.equal(await statusOf(operatorPort, path, 'Host: localhost', `Origin: ${origin}`), 403, `${path} ${origin}`);
			}
			// A page's GET without CORS has no Origin, but browsers tell whose it is.
			for (const site of ['cross-site', 'same-site', 'anything'])
				assert.equal(await statusOf(operatorPort, '/', 'Host: localhost', `Sec-Fetch-Site: ${site}`), 403);
			for (const site of ['none', 'same-origin'])
				assert.equal(await statusOf(operatorPort, '/', 'Host: localhost', `Sec-Fetch-Site: ${site}`), 200);
		}
		const handshake = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}`);
		assert.equal(await statusOf(server.operatorPort, '/room', 'Host: localhost', ...handshake), 404, 'no websockets here');
		assert.equal(await statusOf(server.operatorPort, '/room', 'Host: localhost', 'Origin: null', ...handshake), 403);
		const logged = server.log.filter(({ event }) => event === 'refused');
		assert.deepEqual([logged.length, logged[0]?.origin, logged[0]?.path], [1, 'https://evil.example', '/'], 'one line a second');
	},
);

protocol(
	'A `Host` must be `localhost`, an IP address, the host in `--mport` or `--endpoint`, or absent, else 403; if `--mport` is not loopback, `/metrics`, `/healthz` and `/readyz` answer any.',
	async (t) => {
		const loopback = (await startTestServer(t)).operatorPort;
		const named = (await startTestServer(t, '--mport', '127.1:0')).operatorPort;
		const everywhere = (await startTestServer(t, '--mport', '0.0.0.0:0')).operatorPort;
		const good = ['localhost', 'localhost:1', 'LOCALHOST:', '127.0.0.1', '192.0.2.1:8082', '[::1]', '[2001:db8::1]:80'];
		for (const host of good) {
			for (const port of [loopback, named, everywhere]) assert.equal(await statusOf(port, '/', `Host: ${host}`), 200, host);
		}
		for (const port of [loopback, named, everywhere]) assert.equal(await statusOf(port, '/'), 200, 'absent');
		const bad = ['', 'evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:80', 'localhost:x', '[localhost]', '::1'];
		for (const host of [...bad, '127.1']) {
			assert.equal(await statusOf(loopback, '/', `Host: ${host}`), 403, host);
			assert.equal(await statusOf(everywhere, '/', `Host: ${host}`), 403, host);
			for (const path of ['/metrics', '/healthz', '/readyz']) {
				assert.equal(await statusOf(loopback, path, `Host: ${host}`), 403, host);
				assert.equal(await statusOf(everywhere, path, `Host: ${host}`), 200, host);
			}
		}
		const mapped = (await startTestServer(t, '--mport', '[::ffff:127.0.0.1]:0')).operatorPort;
		assert.equal(await statusOf(mapped, '/metrics', 'Host: evil.example'), 403, 'loopback, too');
		assert.equal(await statusOf(named, '/', 'Host: 127.1'), 200);
		assert.equal(await statusOf(loopback, '/', 'Host: localhost', 'Host: evil.example'), 403);
	},
);

protocol('A request that is not complete after 10 seconds is cut off; malformed ones get 400, and end nothing.', async (t) => {
	const { operatorPort } = await startTestServer(t);
	const slow = new RawConnection(operatorPort);
	await slow.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
	const slowBody = new RawConnection(operatorPort);
	await slowBody.write('POST /channels/room HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nx');
	for (const bytes of [
		'\0\r\n\r\n',
		'G@T / HTTP/1.1\r\n\r\n',
		'GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n',
		`GET /${'x'.repeat(70_000)} HTTP`,
	]) {
		const malformed = new RawConnection(operatorPort);
		await malformed.write(bytes);
		assert.match(await malformed.closed, /^HTTP\/1\.1 (400|431) .*\r\n\r\n[A-Z][^\n]{20,}\.\n$/s);
	}
	assert.equal((await request(operatorPort, { path: '/healthz' })).status, 200);
	for (const { closed } of [slow, slowBody])
		assert.match(await closed, /^HTTP\/1\.1 408 .*\r\n\r\nThe request was not complete after 10 seconds\.\n$/s);
});

protocol(
	'`/stats` is JSON: what is connected, and totals since the start, under the keys that kuiperbelt uses and some more.',
	async (t) => {
		const server = await startTestServer(t, '--max-message', '1KiB', '--origin', 'https://example.com');
		const stats = async () => JSON.parse((await request(server.operatorPort, { path: '/stats' })).body);
		const { uptime, ...fresh } = await stats();
		assert.ok(Number.isInteger(uptime) && uptime >= 0);
		assert.deepEqual(fresh, {
			connections: 0,
			total_connections: 0,
			total_messages: 0,
			connect_errors: 0,
			message_errors: 0,
			closing_connections: 0,
			channels: 0,
			subscriptions: 0,
			sessions: 0,
			deliveries: 0,
			dropped: 0,
			backlog: 0,
		});
		const [first, , third] = await Promise.all(['/room', '/room', '/other'].map((path) => subscribe(t, server.ws(path))));
		await post(server.port, '/room', 'heard by two');
		await post(server.port, '/nobody', 'dropped');
		await post(server.port, '/room', '');
		first?.send('by websocket');
		assert.deepEqual(await first?.texts(2), ['heard by two', 'by websocket']);
		// Three upgrades that are refused, three publishes, and what is neither.
		for (const headers of [{ Upgrade: 'websocket' }, { ...handshakeHeaders, Origin: 'https://evil.example' }])
			await request(server.port, { headers });
		await request(server.port, { method: 'POST', headers: handshakeHeaders });
		await post(server.port, '/room', Buffer.from([0xff]));
		await request(server.port, { method: 'PUT', path: '/%' });
		third?.send('x'.repeat(1_025));
		assert.equal((await third?.closed)?.code, 1009);
		await request(server.port, { method: 'DELETE' });
		await request(server.port, { path: '/%' });
		const { uptime: _, ...busy } = await stats();
		assert.deepEqual(busy, {
			connections: 2,
			total_connections: 3,
			total_messages: 3,
			connect_errors: 3,
			message_errors: 3,
			closing_connections: 0,
			channels: 1,
			subscriptions: 2,
			sessions: 0,
			deliveries: 4,
			dropped: 1,
			backlog: 0,
		});
	},
);

test('a request is answered as what it is, also if what comes right after it is none', async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	const connection = new RawConnection(server.operatorPort);
	const first = 'POST /channels/room HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi';
	// As from a client that has counted characters where it should have counted bytes.
	await connection.write(`${first}POST /channels/room HTTP/1.1\r\nContent-Length: 2\r\n\r\nho!\r\n\r\n`);
	for (const text of ['hi', 'ho']) {
		assert.equal(await subscriber.nextText(), text);
		assert.equal((await connection.answer()).status, 200);
	}
	assert.doesNotMatch(await connection.closed, /400/);
});

test('an endpoint that throws or rejects is answered with 500, and logged with its stack, and the server goes on', async (t) => {
	const errors: { err: { stack: string } }[] = [];
	const log = pino({ level: 'error' }, { write: (line) => void errors.push(JSON.parse(line)) });
	const endpoint = (path: string, answer: Endpoint['answer']): Endpoint => ({ methods: ['GET'], path, help: '', answer });
	const fail = () => {
		throw new Error('poisoned');
	};
	const endpoints = [
		endpoint('/throws', fail),
		endpoint('/rejects', async () => fail()),
		endpoint('/misspeaks', () => text(200, 'OK', { 'X-Split': 'a\r\nb' })),
		endpoint('/works', () => text(200, 'OK')),
	];
	const admin = await startOperatorListener({ host: '127.0.0.1', port: 0 }, [], endpoints, new InFlight(), log);
	t.after(() => admin.close());
	for (const path of ['/throws', '/rejects', '/misspeaks'])
		assert.equal((await request(boundPort(admin), { path })).status, 500, path);
	assert.equal((await request(boundPort(admin), { path: '/works' })).status, 200);
	assert.equal(errors.length, 3);
	for (const { err } of errors) assert.match(err.stack, /\n +at /);
});
