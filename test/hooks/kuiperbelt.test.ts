// The walk-through of kuiperbelt, with the flags and the commands of docs/kuiperbelt.md.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { clientKinds, endOf, openClient } from '../support/clients.js';
import { runProgram } from '../support/command.js';
import { read, shellLines } from '../support/documents.js';
import { acceptsStream } from '../support/event-stream.js';
import { handshakeHeaders, type Request, request } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { startTestServer, type TestServer } from '../support/server.js';

const commands = shellLines(read('docs/kuiperbelt.md'));
const [start = ''] = commands.filter((command) => command.startsWith('npx pathcast '));
const [sends = '', closes = ''] = commands.filter((command) => command.startsWith('curl '));

/** An application that was written for kuiperbelt. */
type Application = { readonly port: number; readonly questions: IncomingHttpHeaders[] };

/** Its connect callback admits every client but mallory: the query names the session. */
async function startApplication(t: TestContext): Promise<Application> {
	const questions: IncomingHttpHeaders[] = [];
	const service = createServer((req, res) => {
		const { pathname, searchParams } = new URL(req.url ?? '', 'http://application');
		if (pathname !== '/connect') {
			res.end();
			return;
		}
		questions.push(req.headers);
		const name = searchParams.get('name') ?? '';
		if (name === 'mallory') res.writeHead(403).end('go away');
		else res.setHeader('X-Kuiperbelt-Session', name).end('Hello');
	});
	await once(service.listen(0, '127.0.0.1'), 'listening');
	t.after(() => {
		service.close();
		service.closeAllConnections();
	});
	return { port: (service.address() as AddressInfo).port, questions };
}

/** A server with the flags of the document, on other ports. */
function startAsDocumented(t: TestContext, { port }: Application, ...more: string[]): Promise<TestServer> {
	const flags = start.split(' ').slice(2);
	const onOtherPorts = flags.map((flag) =>
		flag.replace(/^:12345$/, '127.0.0.1:0').replace('localhost:12346', `127.0.0.1:${port}`),
	);
	return startTestServer(t, ...onOtherPorts, ...more);
}

async function call(operatorPort: number, path: string, session: string | string[], more: Request['headers'] = {}) {
	const headers = { 'X-Kuiperbelt-Session': session, ...more };
	const { status, body } = await request(operatorPort, { method: 'POST', path, headers, body: 'How are you doing?' });
	return [status, JSON.parse(body)];
}

for (const kind of clientKinds) {
	test(
		`the commands of docs/kuiperbelt.md greet a client, send to it and close it: ${kind}`,
		needs('curl', '/usr/bin/curl'),
		async (t) => {
			const application = await startApplication(t);
			const server = await startAsDocumented(t, application);
			const alice = await openClient(t, kind, server, '/connect?name=alice');
			const bob = await openClient(t, kind, server, '/connect?name=bob');
			for (const client of [alice, bob]) assert.deepEqual(await client.texts(1), ['Hello']);
			for (const [command, text] of [
				[sends, 'How are you doing?'],
				[closes, 'Bye'],
			] as const) {
				const line = command.replace('curl ', 'curl --fail -sS ').replace(':8082', `:${server.operatorPort}`);
				const { code, stdout, stderr } = await runProgram(t, '/bin/sh', ['-c', line]).ended;
				assert.deepEqual([code, stdout, stderr], [0, '{"result":"OK"}\n', ''], command);
				if (text !== 'Bye') assert.deepEqual(await alice.texts(1), [text]);
			}
			assert.equal(await alice.end, endOf(kind, 1000, 'the session was closed'));
			assert.deepEqual(await alice.textsUntilEnd(), ['Bye']);
			assert.deepEqual(await call(server.operatorPort, '/send', 'bob'), [200, { result: 'OK' }]);
			assert.deepEqual(await bob.texts(1), ['How are you doing?']);
		},
	);

	test(`unknown sessions are answered as the table of docs/kuiperbelt.md says: ${kind}`, async (t) => {
		const application = await startApplication(t);
		const errors = [{ error: 'session is not found.', session: 'eve' }];
		const strictly = { Prefer: 'handling=strict' };
		for (const path of ['/send', '/close']) {
			for (const isStrict of [false, true]) {
				const server = await startAsDocumented(t, application, ...(isStrict ? ['--strict-broadcast'] : []));
				const alice = await openClient(t, kind, server, '/connect?name=alice');
				const post = (session: string | string[], headers = {}) => call(server.operatorPort, path, session, headers);
				const refused = [400, { errors, result: 'NG' }];
				assert.deepEqual(await post(['alice', 'eve'], strictly), refused);
				assert.deepEqual(await post('eve', strictly), refused);
				assert.deepEqual(await post('eve'), isStrict ? refused : [200, { errors, result: 'NG' }]);
				assert.deepEqual(await post(['alice', 'eve']), isStrict ? refused : [200, { errors, result: 'OK' }]);
				if (isStrict) assert.deepEqual(await post('alice'), [200, { result: 'OK' }]);
				assert.deepEqual(await alice.texts(2), ['Hello', 'How are you doing?']);
				if (path === '/close') assert.equal(await alice.end, endOf(kind, 1000, 'the session was closed'));
			}
		}
	});
}

test('X-Kuiperbelt-Endpoint leads to /send of the server that asks, whatever a client sends under that name', async (t) => {
	const application = await startApplication(t);
	const servers = await Promise.all([1, 2].map(() => startAsDocumented(t, application)));
	for (const server of servers) {
		for (const kind of clientKinds) {
			const own = { 'X-Kuiperbelt-Endpoint': '192.0.2.1:80', Cookie: 'a=b' };
			const client = await openClient(t, kind, server, `/connect?name=${server.port}`, own);
			const { 'x-kuiperbelt-endpoint': endpoint, cookie } = application.questions.at(-1) ?? {};
			assert.equal(cookie, 'a=b');
			const headers = { 'X-Kuiperbelt-Session': String(server.port) };
			const answer = await fetch(`http://${endpoint}/close`, { method: 'POST', headers, body: 'by the endpoint' });
			assert.deepEqual([answer.status, await answer.text()], [200, '{"result":"OK"}\n']);
			await client.end;
			assert.deepEqual(await client.textsUntilEnd(), ['Hello', 'by the endpoint']);
		}
	}
});

test('a client that the connect callback refuses gets its status and its body, and a client publishes nothing to the others', async (t) => {
	const application = await startApplication(t);
	const server = await startAsDocumented(t, application);
	for (const headers of [handshakeHeaders, acceptsStream]) {
		const { status, body } = await request(server.port, { path: '/connect?name=mallory', headers });
		assert.deepEqual([status, body], [403, 'go away']);
	}
	assert.equal((await request(server.port, { method: 'POST', path: '/connect?name=alice', body: 'x' })).status, 405);
	for (const path of ['/send', '/close', '/stats'])
		assert.notEqual((await request(server.port, { method: 'POST', path, headers: { 'X-Kuiperbelt-Session': 'a' } })).status, 200);
});

test('/stats has the six keys of kuiperbelt, and counts each session of a POST to /send', async (t) => {
	const application = await startApplication(t);
	const server = await startAsDocumented(t, application);
	const clients = await Promise.all(['alice', 'bob'].map((name) => openClient(t, 'websocket', server, `/connect?name=${name}`)));
	await request(server.port, { path: '/connect?name=mallory', headers: handshakeHeaders });
	await call(server.operatorPort, '/send', ['alice', 'bob', 'eve']);
	for (const client of clients) assert.deepEqual(await client.texts(2), ['Hello', 'How are you doing?']);
	const stats = JSON.parse((await request(server.operatorPort, { path: '/stats' })).body);
	const keys = ['connections', 'total_connections', 'total_messages', 'connect_errors', 'message_errors', 'closing_connections'];
	assert.deepEqual(
		keys.map((key) => stats[key]),
		[2, 2, 2, 1, 0, 0],
	);
});
