// Runs the authorisation service of examples/auth, and the commands of its README.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Command, runProgram } from '../support/command.js';
import { fenced, read, shellLines } from '../support/documents.js';
import { acceptsStream, openStream } from '../support/event-stream.js';
import { handshakeHeaders, post, request } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const readme = read('examples/auth/README.md');
const [startsService = '', startsServer = '', ...commands] = shellLines(readme);
/** The commands whose comment says which status they show. */
const statuses = fenced(readme, 'sh').flatMap((block) =>
	[...block.matchAll(/^(curl .*?) +# (\d{3})$/gm)].map(([, command = '', status]) => ({ command, status: Number(status) })),
);

/** Starts both programs as the README says, on other ports. */
async function start(t: TestContext): Promise<{ readonly service: Command; readonly server: TestServer }> {
	const [, file = ''] = /^node (\S+)$/.exec(startsService) ?? [];
	const service = runProgram(t, process.execPath, [file, '0']);
	const port = await service.until(() => /^listens on port (\d+)\n/.exec(service.stdout)?.[1]);
	const flags = startsServer.replace(/^npm start -- /, '').replace(':8090', `:${port}`);
	return { service, server: await startTestServer(t, ...flags.split(' ')) };
}

function runCurl(t: TestContext, { port, operatorPort }: TestServer, command: string): Command {
	const line = command.replace('curl ', 'exec curl -sS ').replace(':8081', `:${port}`).replace(':8082', `:${operatorPort}`);
	return runProgram(t, '/bin/sh', ['-c', line]);
}

test('the commands of the README of examples/auth show what it says', needs('curl', '/usr/bin/curl'), async (t) => {
	const { server } = await start(t);
	assert.equal(statuses.length, 7);
	const [subscribes = '', ...others] = commands.filter((command) => !statuses.some((known) => known.command === command));
	assert.deepEqual(others, []);
	const reader = runCurl(t, server, subscribes);
	await reader.until(() => /^: subscribed\n/.exec(reader.stdout)?.[0]);
	for (const { command, status } of statuses) {
		const { code, stdout, stderr } = await runCurl(t, server, command).ended;
		assert.deepEqual([code, stderr], [0, '']);
		assert.match(stdout, new RegExp(`^HTTP/1\\.1 ${status} `), command);
	}
	await post(server.operatorPort, '/channels/user/157/inbox', 'end');
	await reader.until(() => /\ndata: end\n\n/.exec(reader.stdout)?.[0]);
	assert.deepEqual(reader.stdout.match(/^data: .*$/gm), ['data: a note to myself', 'data: from the application', 'data: end']);
});

test('the service of examples/auth admits websockets and event streams by a cookie or a token, and to no channel of another user', async (t) => {
	const { server } = await start(t);
	const bearer = { Authorization: 'Bearer a1b2c3' };
	const credentials = [bearer, { Cookie: 'session=a1b2c3' }, { Cookie: 'theme=dark; session=a1b2c3; a=b' }];
	for (const headers of credentials) {
		await subscribe(t, server.ws('/me/caf%C3%A9?x'), { headers });
		await openStream(t, server, '/me/caf%c3%a9', headers);
	}
	const { headers } = await post(server.operatorPort, '/channels/user/157/caf%C3%A9', 'to all of them');
	assert.equal(headers.get('x-subscribers'), '6');

	const statusOf = async (path: string, fields: Record<string, string>) => {
		const [upgrade, stream] = await Promise.all(
			[handshakeHeaders, acceptsStream].map((kind) => request(server.port, { path, headers: { ...kind, ...fields } })),
		);
		assert.equal(upgrade?.status, stream?.status);
		return upgrade?.status;
	};
	const strangers: Record<string, string>[] = [
		{},
		{ Cookie: 'session=' },
		{ Cookie: 'xsession=a1b2c3' },
		{ Authorization: 'Basic a1b2c3' },
		{ Authorization: 'Bearer x' },
	];
	for (const fields of strangers) assert.equal(await statusOf('/room/1', fields), 401);
	const forbidden = ['/user/158/inbox', '/%75ser/158/inbox', '//user/158/inbox', '/', '/me', '/me/', '/%6de/inbox', '/mexico/x'];
	for (const path of forbidden) assert.equal(await statusOf(path, bearer), 403, path);
	// pathcast resolves no `..`: this is a channel of user 157.
	await subscribe(t, server.ws('/me/../user/158'), { headers: bearer });
	assert.equal((await request(server.operatorPort, { path: '/channels/user/157/../user/158' })).status, 200);
	assert.equal((await request(server.operatorPort, { path: '/channels/user/158' })).status, 404);
});

test('without the service of examples/auth no one enters, and whoever is subscribed stays', async (t) => {
	const { service, server } = await start(t);
	const headers = { Authorization: 'Bearer a1b2c3' };
	const subscriber = await subscribe(t, server.ws('/room/1'), { headers });
	service.child.kill();
	await service.ended;
	assert.equal((await request(server.port, { path: '/room/1', headers: { ...handshakeHeaders, ...headers } })).status, 502);
	assert.equal((await post(server.port, '/room/1', 'x', headers)).status, 502);
	await post(server.operatorPort, '/channels/room/1', 'still subscribed');
	assert.equal(await subscriber.nextText(), 'still subscribed');
	assert.equal(await metric(server, 'pathcast_refusals_total{reason="auth_failed"}'), 2);
});
