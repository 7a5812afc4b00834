// Runs the commands of docs/scaling.md against Redis or Valkey.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Command, runProgram } from '../support/command.js';
import { read, shellLines } from '../support/documents.js';
import { post, request } from '../support/http.js';
import { needsRedis, type RedisProcess, startRedis } from '../support/redis.js';
import { needs } from '../support/requirement.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const cli = ['/usr/bin/valkey-cli', '/usr/bin/redis-cli'].find((path) => existsSync(path)) ?? '/usr/bin/redis-cli';
const needsCli = needsRedis.skip ? needsRedis : needs('redis-cli', cli);
const lines = shellLines(read('docs/scaling.md'));
const commands = lines.filter((line) => line.includes('redis-cli ') && line.includes('pathcast:/room/1'));

/** Runs a line of the document, which may have a pipe. */
function run(t: Parameters<typeof runProgram>[0], redis: RedisProcess, line: string, folder: string): Command {
	const script = line.replace('redis-cli ', `exec ${cli} -p ${redis.port} `);
	return runProgram(t, '/bin/sh', ['-c', script], process.env, folder);
}

test(
	'the commands of docs/scaling.md publish to subscribers, and close their channel; a back end hears all of it',
	needsCli,
	async (t) => {
		const redis = await startRedis(t);
		const server = await startTestServer(t, '--relay', redis.url);
		const subscriber = await subscribe(t, server.ws('/room/1'));
		const folder = temporaryFolder(t);
		writeFileSync(`${folder}/message.json`, '{}\n');
		const publishing = commands.filter((line) => line.includes('SPUBLISH'));
		const listening = commands.filter((line) => line.includes('SSUBSCRIBE'));
		assert.deepEqual([publishing.length, listening.length], [4, 1]);
		const listener = run(t, redis, listening[0] ?? '', folder);
		await listener.until(() => /ssubscribe\npathcast:\/room\/1\n1\n/.exec(listener.stdout)?.[0]);

		const came: (string | Buffer)[] = [];
		subscriber.ws.on('message', (data: Buffer, isBinary: boolean) => came.push(isBinary ? data : String(data)));
		for (const line of publishing) {
			const { code, stdout, stderr } = await run(t, redis, line, folder).ended;
			// This server, and the back end.
			assert.deepEqual([code, stdout, stderr], [0, '2\n', ''], line);
		}
		const { code, reason } = await subscriber.closed;
		assert.deepEqual([code, reason], [1000, 'the channel was closed']);
		assert.deepEqual(came, ['hello', '{}\n', Buffer.from([0, 1])]);
		assert.equal((await post(server.port, '/room/1', 'by POST')).headers.get('x-nodes'), '2');
		await listener.until(() => /\nby POST\n/.exec(listener.stdout)?.[0]);
		for (const part of ['\nhello\n', '\n{}\n']) assert.ok(listener.stdout.includes(part), listener.stdout);
	},
);

test(
	'a user with the permissions of docs/scaling.md can do all that a server does, and needs each of them',
	needsCli,
	async (t) => {
		const [line = '', ...others] = lines.filter((line) => line.includes('ACL SETUSER'));
		assert.deepEqual(others, []);
		const redis = await startRedis(t);
		const { stdout } = await run(t, redis, line, temporaryFolder(t)).ended;
		assert.equal(stdout, 'OK\n');
		const flags = ['--relay', redis.url.replace('//', '//pathcast:secret@'), '--relay-linger', '1s'];
		const server = await startTestServer(t, ...flags);
		const subscriber = await subscribe(t, server.ws('/room/é'));
		assert.equal((await post(server.port, '/room/%C3%A9', 'hello')).headers.get('x-nodes'), '1');
		// Counts the subscribers.
		assert.equal((await post(server.port, '/room/%C3%A9', '')).headers.get('x-nodes'), '1');
		assert.equal(await subscriber.nextText(), 'hello');
		await request(server.operatorPort, { method: 'POST', path: '/drain?over=0s' });
		assert.equal((await subscriber.closed).code, 1012);
		while (((await redis.run('PUBSUB', 'SHARDCHANNELS')) as string[]).length > 0);
		await server.stop();
		assert.deepEqual(await redis.run('ACL', 'LOG'), []);
		const used: string[] = String(await redis.run('INFO', 'commandstats')).match(/(?<=cmdstat_)[a-z|]+/g) ?? [];
		for (const [, command = ''] of line.matchAll(/\+([a-z|]+)/g)) {
			// Clusters alone are asked for it.
			if (command !== 'cluster|slots') assert.ok(used.includes(command), command);
		}
	},
);
