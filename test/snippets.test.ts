// Runs the commands and snippets of the documents against a server.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { needsChromium, openPage } from './support/browser.js';
import { type Ended, runProgram } from './support/command.js';
import { fenced, inlineCode, read, shellLines } from './support/documents.js';
import { post } from './support/http.js';
import { startNamingService } from './support/naming-service.js';
import { needs } from './support/requirement.js';
import { metric, startTestServer, type TestServer } from './support/server.js';
import { subscribe } from './support/subscriber.js';
import { temporaryFolder } from './support/temporary-folder.js';

const posted = 'pathcast_messages_received_total{source="post"}';

test("the README's commands of curl publish", needs('curl', '/usr/bin/curl'), async (t) => {
	const server = await startTestServer(t);
	const folder = temporaryFolder(t);
	writeFileSync(`${folder}/message.json`, '{}\n');
	const commands = curlCommands('README.md').filter((command) => !command.includes('text/event-stream'));
	assert.equal(commands.length, 4);
	for (const command of commands) assert.match((await runCurl(t, command, server, folder)).stdout, /OK\n$/, command);
	assert.equal(await metric(server, posted), commands.length);
});

test("the README's command of curl subscribes to an event stream", needs('curl', '/usr/bin/curl'), async (t) => {
	const server = await startTestServer(t);
	const [command = '', ...others] = curlCommands('README.md').filter((command) => command.includes('text/event-stream'));
	assert.deepEqual(others, []);
	const curl = runProgram(t, '/bin/sh', ['-c', `exec ${at(server, command)}`]);
	await curl.until(() => /^: subscribed\n/.exec(curl.stdout)?.[0]);
	await post(server.port, '/room/1', 'hello');
	await curl.until(() => /\ndata: hello\n\n/.exec(curl.stdout)?.[0]);
});

test("the README's EventSource subscribes", needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openPage(t, `http://localhost:${server.port}/other`);
	const logged = page.waitForEvent('console');
	const streams = fenced(read('README.md'), 'js').find((snippet) => snippet.includes('EventSource')) ?? '';
	await page.evaluate(at(server, streams));
	while ((await post(server.port, '/room/1', 'hello')).headers.get('x-subscribers') !== '1');
	assert.equal((await logged).text(), 'hello');
});

test("docs/operating.md's commands of curl are served", needs('curl', '/usr/bin/curl'), async (t) => {
	const commands = curlCommands('docs/operating.md');
	assert.ok(commands.length >= 16);
	const { url } = await startNamingService(t);
	for (const command of commands) {
		// One for each, as some commands stop it.
		const server = await startTestServer(t, '--auth', url);
		await subscribe(t, server.ws('/room/1?alice'));
		const { code, stdout, stderr } = await runCurl(t, command, server);
		assert.deepEqual([code, stderr], [0, ''], command);
		if (/\/(send|close) /.test(command)) assert.equal(stdout, '{"result":"OK"}\n', command);
	}
});

test("the README's JavaScript subscribes and publishes", { timeout: 30_000 }, async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room/1'));
	const [subscribes = '', fetches = '', _streams, ...others] = fenced(read('README.md'), 'js');
	assert.deepEqual(others, []);
	// Node 20 has no WebSocket of its own.
	const socket = runModule(t, `import WebSocket from 'ws';\n${subscribes}`, server);
	assert.equal(await subscriber.nextText(), 'hello, everybody in room 1');
	assert.equal(await socket.until(() => /^.*\n/.exec(socket.stdout)?.[0]), 'hello, everybody in room 1\n');
	socket.child.kill();
	await socket.ended;
	const { stdout, stderr } = await runModule(t, fetches, server).ended;
	assert.match(stdout, /^200 [12]\n$/, stderr);
	assert.equal(await subscriber.nextText(), 'hello');
});

test("the README's Python publishes", needs('Python', '/usr/bin/python3'), async (t) => {
	const server = await startTestServer(t);
	const [publishes = ''] = fenced(read('README.md'), 'python');
	const { stdout, stderr } = await runProgram(t, '/usr/bin/python3', ['-c', at(server, publishes)]).ended;
	assert.deepEqual([stdout, stderr], ['200 0\n', '']);
	assert.equal(await metric(server, posted), 1);
});

/** A snippet or command with the ports of this server. */
function at(server: TestServer, code: string): string {
	return code.replaceAll(':8081', `:${server.port}`).replaceAll(':8082', `:${server.operatorPort}`);
}

function curlCommands(document: string): string[] {
	const text = read(document);
	return [...shellLines(text), ...inlineCode(text)].filter((code) => /^curl .*localhost/.test(code));
}

/** Runs a command of curl, which fails where the server refuses. */
function runCurl(t: TestContext, command: string, server: TestServer, cwd?: string): Promise<Ended> {
	const quiet = 'curl() { command curl --fail --silent --show-error "$@"; }';
	return runProgram(t, '/bin/sh', ['-c', `${quiet}\n${at(server, command)}`], process.env, cwd).ended;
}

function runModule(t: TestContext, code: string, server: TestServer) {
	return runProgram(t, process.execPath, ['--input-type=module', '--eval', at(server, code)]);
}
