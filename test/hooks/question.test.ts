// What the authorisation service is told of a request.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerTo, askedDoors, knock, openStatus } from '../support/doors.js';
import { request } from '../support/http.js';
import { thisEngine } from '../support/malformed.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { startService } from '../support/service.js';

protocol(
	'The question has the query of the request after that of the URL, and its header fields, cookies and `Authorization` included; not the fields of the connection (those that `Connection` names too), `Sec-WebSocket-*`, `Content-Length`, `Transfer-Encoding`, `Expect`, `Upgrade`, `Accept-Encoding`, `Range` and the conditions of `If-*`; `Host` is that of the service.',
	async (t) => {
		const service = await startService(t);
		const server = await startTestServer(t, '--auth', `${service.url}?key=1`);
		const told = [
			`Cookie: id=${'x'.repeat(3_000)}`,
			'Authorization: Basic eDp5',
			'X-Twice: 1',
			'X-Twice: 2',
			'Accept-Language: de',
		];
		const untold = [
			...['Connection: close, X-Nominated', 'X-Nominated: 1', 'Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive'],
			...['Proxy-Authorization: Basic eDp5', 'TE: trailers', 'Trailer: X', 'Accept-Encoding: br', 'Expect: x'],
			...['Range: bytes=0-1', 'If-None-Match: "x"', 'If-Range: "x"'],
			...['If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT', 'If-Unmodified-Since: Mon, 01 Jan 2024 00:00:00 GMT'],
			...['Sec-WebSocket-Extensions: permessage-deflate', 'Sec-WebSocket-Protocol: chat'],
		];
		for (const door of askedDoors) {
			// Any of these would make a POST a websocket handshake, and so would an Upgrade a stream.
			const sent = [...told, ...untold.filter((line) => door === 'websocket' || !line.startsWith('Sec-WebSocket'))];
			assert.equal((await answerTo(server.port, door, '/room?token=a%20b&c', sent)).status, openStatus[door], door);
			const question = await service.next();
			assert.equal(question.method, 'GET');
			assert.equal(question.url, '/ask?key=1&token=a%20b&c');
			assert.equal(`http://${question.field('host')}/ask`, service.url);
			const names = question.fields.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
			const own = { websocket: [], 'event stream': ['accept'], POST: [] }[door];
			assert.deepEqual(
				names.filter((name) => !name.startsWith('x-original-')).sort(),
				[
					...['accept-language', 'authorization', 'connection', 'cookie', 'host', 'x-twice', 'x-twice', ...own],
					...['x-endpoint', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'],
				].sort(),
			);
			assert.equal(question.field('connection'), 'keep-alive');
			for (const line of new Set(told))
				assert.ok(question.all(line.replace(/:.*/, '')).includes(line.replace(/^.*?: /, '')), line);
			assert.deepEqual(question.all('x-twice'), ['1', '2']);
		}
		// Neither the query nor what it may hold is ever logged.
		assert.doesNotMatch(JSON.stringify(server.log), /token|eDp5|xxxx/);
	},
);

const added = [
	'X-Endpoint',
	'X-Forwarded-Host',
	'X-Kuiperbelt-Endpoint',
	'X-Original-Action',
	'X-Original-Method',
	'X-Original-URI',
	'X-Real-IP',
];

protocol(
	'The server adds `X-Original-URI`, `X-Original-Method`, `X-Original-Action` (`subscribe` or `publish`), `X-Real-IP`, `X-Forwarded-For`, `X-Forwarded-Host` and `X-Endpoint`; copies that the client sends are left out, but for the addresses in its `X-Forwarded-For`.',
	async (t) => {
		const service = await startService(t);
		const server = await startTestServer(t, '--auth', service.url);
		const forged = added.flatMap((name) => [`${name}: forged`, `${name.toLowerCase()}: forged`]);
		for (const door of askedDoors) {
			await answerTo(server.port, door, '/a/%41?b=%2F', [
				...forged,
				'X-Forwarded-For: 192.0.2.1',
				'x-forwarded-for: 192.0.2.2, ::1',
			]);
			const question = await service.next();
			assert.equal(question.field('x-original-uri'), '/a/%41?b=%2F');
			assert.equal(question.field('x-original-method'), door === 'POST' ? 'POST' : 'GET');
			assert.equal(question.field('x-original-action'), door === 'POST' ? 'publish' : 'subscribe');
			assert.equal(question.field('x-real-ip'), '127.0.0.1');
			assert.equal(question.field('x-forwarded-for'), '192.0.2.1, 192.0.2.2, ::1, 127.0.0.1');
			assert.equal(question.field('x-forwarded-host'), 'example.com');
			assert.equal(question.field('x-endpoint'), `127.0.0.1:${server.operatorPort}`);
			assert.doesNotMatch(question.fields.join('\n'), /forged/);
		}
		await request(server.port, { method: 'PUT', path: '/a', body: 'x' });
		const put = await service.next();
		assert.deepEqual([put.field('x-original-method'), put.field('x-original-action')], ['PUT', 'publish']);
		await request(server.port, { method: 'HEAD', path: '/a', headers: { Accept: 'text/event-stream' } });
		const head = await service.next();
		assert.deepEqual(
			[head.method, head.field('x-original-method'), head.field('x-original-action')],
			['GET', 'HEAD', 'subscribe'],
		);
	},
);

// A field with an underscore is one that uWebSockets.js 20.30 waits for the end of.
const takesUnderscores = { skip: thisEngine === 'older' && 'the older engine takes no underscore in the name of a field' };

test(
	'a client cannot forge what the server adds with underscores, which CGI and WSGI take for hyphens',
	takesUnderscores,
	async (t) => {
		const service = await startService(t);
		const server = await startTestServer(t, '--auth', service.url);
		const forged = [...added, 'X-Forwarded-For'].flatMap((name) => [
			`${name.replaceAll('-', '_')}: forged`,
			`${name.replace('-', '_')}: forged`,
		]);
		for (const door of askedDoors) {
			const { status } = await answerTo(server.port, door, '/room', [...forged, 'X_Other: kept']);
			assert.equal(status, openStatus[door]);
			const question = await service.next();
			assert.doesNotMatch(question.fields.join('\n'), /forged/);
			assert.equal(question.field('x_other'), 'kept');
		}
	},
);

test('a service of kuiperbelt is told the endpoint under that name too, and --endpoint takes the place of the address', async (t) => {
	const service = await startService(t);
	const flags = ['--session-header', 'x-kuiperbelt-session', '--endpoint', 'node-1.internal:9180'];
	const server = await startTestServer(t, '--auth', service.url, ...flags);
	await answerTo(server.port, 'POST', '/room', ['X-Kuiperbelt-Endpoint: forged', 'X-Endpoint: forged']);
	const question = await service.next();
	assert.equal(question.field('x-endpoint'), 'node-1.internal:9180');
	assert.equal(question.field('x-kuiperbelt-endpoint'), 'node-1.internal:9180');
	const withoutOperator = await startTestServer(t, '--auth', service.url, '--mport', 'off');
	await answerTo(withoutOperator.port, 'POST', '/room', ['X-Endpoint: forged']);
	assert.equal((await service.next()).field('x-endpoint'), undefined);
});

test('X-Real-IP is the last address before the trusted proxies, whatever a client writes before it', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url, '--trust-proxy', '127.0.0.1,10.0.0.0/8');
	for (const [forwardedFor, client] of [
		['192.0.2.1', '192.0.2.1'],
		['198.51.100.7, 192.0.2.1, 10.1.1.1', '192.0.2.1'],
		['198.51.100.7, 192.0.2.1:80, , 10.1.1.1', '192.0.2.1'],
		['198.51.100.7, unknown', '127.0.0.1'],
		['10.1.1.1', '10.1.1.1'],
		['2001:DB8::1', '2001:db8::1'],
	] as const) {
		for (const door of askedDoors) {
			await answerTo(server.port, door, '/room', [`X-Forwarded-For: ${forwardedFor}`, 'X-Real-IP: 203.0.113.9']);
			const question = await service.next();
			assert.equal(question.field('x-real-ip'), client, forwardedFor);
			assert.equal(question.field('x-forwarded-for'), `${forwardedFor}, 127.0.0.1`);
		}
	}
});

protocol(
	'A client that offers the subprotocols `bearer` and a token is asked about with `Authorization: Bearer` and the token, which is never echoed.',
	async (t) => {
		const service = await startService(t);
		const server = await startTestServer(t, '--auth', service.url);
		const offer = async (...lines: string[]) => {
			const { status, headers } = await answerTo(server.port, 'websocket', '/room', lines);
			assert.equal(status, 101);
			const question = await service.next();
			assert.doesNotMatch(question.fields.join('\n'), /sec-websocket/i);
			return { echoed: headers.get('sec-websocket-protocol'), authorization: question.field('authorization') };
		};
		const asked = { echoed: 'bearer', authorization: 'Bearer a.b-c_d' };
		assert.deepEqual(await offer('Sec-WebSocket-Protocol: bearer, a.b-c_d'), asked);
		assert.deepEqual(await offer('Sec-WebSocket-Protocol: bearer', 'Sec-WebSocket-Protocol: a.b-c_d'), asked);
		// One Authorization alone, or the service and the server might take different ones.
		assert.deepEqual(await offer('Authorization: Basic eDp5', 'Sec-WebSocket-Protocol: bearer,a.b-c_d'), asked);
		assert.deepEqual(await offer('Sec-WebSocket-Protocol: bearer'), { echoed: 'bearer', authorization: undefined });
		assert.deepEqual(await offer('Sec-WebSocket-Protocol: chat, bearer'), { echoed: 'chat', authorization: undefined });
		assert.doesNotMatch(JSON.stringify(server.log), /a\.b-c_d/);
	},
);

test('a path, a query and a field in UTF-8 reach the service: the field as it is, the rest percent-encoded', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url);
	const text = 'é漢😀';
	const bytes = Buffer.from(text).toString('latin1');
	for (const door of askedDoors) {
		assert.equal((await answerTo(server.port, door, `/${bytes}?${bytes}=%&"<`, [`X-Name: .${bytes}.`])).status, openStatus[door]);
		const question = await service.next();
		assert.equal(question.url, `/ask?${encodeURIComponent(text)}=%&"<`);
		assert.equal(question.field('x-original-uri'), `/${encodeURIComponent(text)}?${encodeURIComponent(text)}=%&"<`);
		// The engine cuts off bytes beyond ASCII at either end of a field.
		assert.equal(question.field('x-name'), `.${text}.`);
	}
});

test('a field with a control character is refused with 400 each time, also in those that the server writes anew', async (t) => {
	const service = await startService(t);
	// A question that is lost would keep the only place.
	const server = await startTestServer(t, '--auth', service.url, '--auth-concurrency', '1', '--auth-timeout', '1s');
	for (const line of [
		'X-Forwarded-For: a\x7fb',
		'X-Any: a\x7fb',
		'Cookie: \x7f',
		'X-Real-IP: \x7f',
		'Sec-WebSocket-Protocol: bearer, a\x7fb',
	]) {
		for (const door of askedDoors) {
			if (door !== 'websocket' && line.startsWith('Sec-')) continue;
			assert.equal((await answerTo(server.port, door, '/room', [line])).status, 400, line);
		}
	}
	assert.equal(service.asked, 0);
	for (const door of askedDoors) assert.equal((await answerTo(server.port, door)).status, openStatus[door], door);
	const left = knock(server.port, 'POST', '/room', ['X-Any: \x7f']);
	left.end();
	assert.equal(await metric(server, 'pathcast_auth_waiting'), 0);
});
