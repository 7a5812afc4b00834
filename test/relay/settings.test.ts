// The options of the relay: what a wrong one says, and what a server must be to serve as the relay.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { readOptions } from '#src/options/reading.js';
import { anyPort, refuses, runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { post } from '../support/http.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { certPath, keyPath } from '../support/tls.js';
import { notRedis, redis5, redis62, startAnswering } from './support/old-redis.js';
import { readiness, readinessBecomes, startSharing } from './support/sharing.js';

const secret = 'se-cr-et';

/** The line that these arguments are refused with. */
function refusal(...args: string[]): string {
	try {
		readOptions(args, {}, 'test');
	} catch (error) {
		return (error as Error).message;
	}
	assert.fail(`${args.join(' ')} is taken`);
}

test('a wrong --relay is refused with one line that names the remedy and never the password', async (t) => {
	const wrong: Record<string, RegExp> = {
		[`:${secret}@localhost:6379`]: /is not the URL of a relay: write redis:/,
		[`http://:${secret}@localhost`]: /is not the URL of a relay: write redis:/,
		[`REDIS://:${secret}@localhost`]: /is not the URL of a relay: write redis:/,
		[`redis://:${secret}@`]: /has no address of a server: write redis:/,
		[`redis://:${secret}@h:0`]: /has no address of a server/,
		[`redis://:${secret}@h:65536`]: /has no address of a server/,
		[`redis://:${secret}@a,,b`]: /has no address of a server/,
		[`redis://:se@${secret}@h`]: /has no address of a server/,
		[`redis://:${secret}@h/1`]: /has something after the address: pub\/sub knows no databases/,
		[`redis://:${secret}%@h`]: /has a % without two hexadecimal digits after it: write %25/,
		[`redis+sentinel://:${secret}@h`]: /names no master: write redis\+sentinel:\/\/host:26379\/name/,
		[`unix://:${secret}@socket`]: /has no absolute path of a UNIX socket/,
		[`unix://:${secret}@/`]: /has no absolute path of a UNIX socket/,
	};
	for (const [url, line] of Object.entries(wrong)) {
		const text = refusal('--relay', url);
		assert.match(text, line, url);
		assert.match(text, /^--relay: its value [^\n]+\.$/);
		assert.doesNotMatch(text, new RegExp(secret), url);
	}
	const url = `redis://:${secret}@h/1`;
	const line = 'its value has something after the address: pub/sub knows no databases; write redis://host:6379.';
	await refuses(t, ['--relay', url], `--relay: ${line}`);
	await refuses(t, [], `PATHCAST_RELAY: ${line}`, [], { ...process.env, PATHCAST_RELAY: url });
	await refuses(t, [`--rely=${url}`], /^pathcast: unknown option '--rely'[^\n]*; pathcast --help lists the options\.\n$/);
});

test('options of the relay that do not go together are refused', () => {
	const tls = ['--relay', 'rediss://h'];
	const cases: [string[], RegExp][] = [
		[['--relay-password-file', '/p'], /^--relay-password-file is for a relay, and there is none: give --relay\.$/],
		[['--relay-ca', '/c'], /^--relay-ca is for a relay, and there is none/],
		[['--relay', 'redis://h', '--relay-ca', '/c'], /^--relay-ca is for TLS, and --relay does not ask for it: write rediss:/],
		[
			['--relay', `redis://:${secret}@h`, '--relay-password-file', '/p'],
			/^--relay and --relay-password-file both hold a password/,
		],
		[[...tls, '--relay-cert', '/c'], /^--relay-key is missing/],
		[[...tls, '--relay-key', '/c'], /^--relay-cert is missing/],
		[['--relay-prefix', 'a{b}'], /is not a prefix: write up to 64 visible ASCII characters, without braces/],
		[['--relay-prefix', 'é'], /is not a prefix/],
		[['--relay-timeout', '0s'], /1s to 60s|from 1s/],
		[['--relay-linger', '2h'], /1h/],
	];
	for (const [args, line] of cases) {
		assert.match(refusal(...args), line, args.join(' '));
		assert.doesNotMatch(refusal(...args), new RegExp(secret));
	}
});

test('files of the relay that cannot be used are refused at the start', async (t) => {
	const empty = `${temporaryFolder(t)}/empty`;
	writeFileSync(empty, '\n');
	const tls = [...anyPort, '--relay', 'rediss://127.0.0.1:1'];
	await refuses(t, [...tls, '--relay-password-file', empty], /--relay-password-file: the first line of .* is empty/);
	await refuses(t, [...tls, '--relay-ca', '/nowhere'], /--relay-ca: \/nowhere cannot be read \(ENOENT\); check the path/);
	await refuses(
		t,
		[...tls, '--relay-cert', certPath, '--relay-key', certPath],
		/--relay-ca, --relay-cert, --relay-key: .* check/,
	);
});

test('a server with a password lets in who has it, from the URL or from a file, and no log has it', needsRedis, async (t) => {
	const redis = await startRedis(t, '--requirepass', `${secret}@/:é`);
	redis.credentials = { password: `${secret}@/:é` };
	const address = `127.0.0.1:${redis.port}`;
	const remedy =
		/--relay: 127\.0\.0\.1:\d+ cannot serve as the relay: it does not take this user and password .*: see --relay and/;
	for (const url of [`redis://:${secret}@${address}`, `redis://wrong:${secret}@${address}`, redis.url])
		await refuses(t, [...anyPort, '--relay', url], new RegExp(`^((?!${secret}).)*${remedy.source}((?!${secret}).)*\n$`));
	const file = `${temporaryFolder(t)}/password`;
	writeFileSync(file, `${secret}@/:é\r\nanother line\n`);
	const encoded = encodeURIComponent(`${secret}@/:é`);
	const servers = [
		await startTestServer(t, '--relay', `redis://:${encoded}@${address}`, '--log-level', 'trace'),
		await startTestServer(t, '--relay', redis.url, '--relay-password-file', file, '--log-level', 'trace'),
		await startTestServer(t, '--relay', `redis://default@${address}`, '--relay-password-file', file, '--log-level', 'trace'),
	];
	for (const server of servers) assert.deepEqual(await readiness(server), [200, 'OK']);
	await subscribe(t, (servers[0] as (typeof servers)[0]).ws('/room'));
	for (const server of servers) await post(server.port, '/room', 'x');
	// The password that the servers have is wrong now.
	await redis.run('CONFIG', 'SET', 'requirepass', 'another');
	for (const type of ['pubsub', 'normal']) await redis.run('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes');
	for (const server of servers) {
		await readinessBecomes(server, 503);
		while (!/^relay: it does not take this user and password/.test((await readiness(server))[1]));
		const seen = JSON.stringify(server.log) + (await readiness(server))[1];
		assert.ok(seen.includes('"relay"') && !seen.includes(secret) && !seen.includes(encoded));
	}
});

test('a user that lacks one of the rights is refused at the start', needsRedis, async (t) => {
	const redis = await startRedis(t);
	await redis.run('ACL', 'SETUSER', 'nothing', 'on', `>${secret}`, '+hello');
	const nothing = `redis://nothing:${secret}@127.0.0.1:${redis.port}`;
	const line = /cannot serve as the relay: its user may not do that \(NOPERM .*\): docs\/scaling\.md has the ACL\.\n$/;
	await refuses(t, [...anyPort, '--relay', nothing], line);
	const rights = ['+hello', '+ping', '+eval', '+spublish', '+ssubscribe', '+sunsubscribe', '+pubsub|shardnumsub', '&pathcast:*'];
	for (const missing of rights.slice(1)) {
		const others = rights.filter((right) => right !== missing);
		await redis.run('ACL', 'SETUSER', 'some', 'reset', 'on', `>${secret}`, ...others);
		await refuses(t, [...anyPort, '--relay', nothing.replace('nothing', 'some')], /its user may not do that/);
	}
	await redis.run('ACL', 'SETUSER', 'some', 'reset', 'on', `>${secret}`, ...rights);
	const server = await startTestServer(t, '--relay', nothing.replace('nothing', 'some'));
	assert.equal((await post(server.port, '/room', 'x')).status, 200);
});

test('a server that cannot listen ends, although the relay serves', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const { code, stderr } = await runCommand(t, ['--relay', redis.url, '--addr', `127.0.0.1:${redis.port}`, '--mport', 'off'])
		.ended;
	assert.match(stderr, /^pathcast: --addr: cannot listen on 127\.0\.0\.1:\d+: it is in use[^\n]*\n$/);
	assert.equal(code, 1);
});

test('an old Redis, a replica and a server of another kind cannot serve as the relay', needsRedis, async (t) => {
	const start = async (port: number) => [...anyPort, '--relay', `redis://127.0.0.1:${port}`];
	const old = /cannot serve as the relay: it .*: sharded pub\/sub needs Redis 7 or newer, or Valkey\.\n$/;
	for (const answer of [redis62, redis5]) await refuses(t, await start(await startAnswering(t, answer)), old);
	const master = await startRedis(t);
	const replica = await startRedis(t, '--replicaof', `127.0.0.1 ${master.port}`);
	const line = `--relay: 127.0.0.1:${replica.port} cannot serve as the relay: it is a replica: name its master, or its Sentinels.`;
	await refuses(t, await start(replica.port), line);
	const port = await startAnswering(t, notRedis);
	const server = await startTestServer(t, '--relay', `redis://127.0.0.1:${port}`, '--relay-timeout', '1s');
	const [status, why] = await readiness(server);
	assert.equal(status, 503);
	assert.match(why, /^relay: .+/);
	assert.ok(server.log.some(({ event, reason }) => event === 'relay' && `relay: ${reason}` === why));
});

test('a server that repeats what it was sent, at any length, puts neither the password nor a long line into the log', async (t) => {
	const port = await startAnswering(
		t,
		'',
		(data) => `-ERR cannot do ${data.replaceAll('\r\n', ' ')}${'x'.repeat(2_000_000)}\r\n`,
	);
	const server = await startTestServer(t, '--relay', `redis://alice:${secret}@127.0.0.1:${port}`);
	const [, why] = await readiness(server);
	assert.match(why, /^relay: ERR cannot do .*AUTH.*alice.*\*\*\* x+…$/);
	const log = JSON.stringify(server.log);
	assert.ok(!log.includes(secret) && log.length < 10_000);
});

test('the relay can be on a UNIX socket, with and without a password', needsRedis, async (t) => {
	const path = `${temporaryFolder(t)}/redis.sock`;
	const redis = await startRedis(t, '--unixsocket', path, '--requirepass', secret);
	const server = await startTestServer(t, '--relay', `unix://:${secret}@${path}`);
	await assertServes(t, server);
	await refuses(
		t,
		[...anyPort, '--relay', `unix://${path}`],
		new RegExp(`^pathcast: --relay: ${path} cannot serve as the relay: `),
	);
	await redis.kill();
	await readinessBecomes(server, 503);
	assert.match((await readiness(server))[1], /^relay: /);
});

test('rediss:// shows a certificate, and trusts the one of the relay by --relay-ca alone', needsRedis, async (t) => {
	const port = await freePort();
	const files = ['--tls-cert-file', certPath, '--tls-key-file', keyPath, '--tls-ca-cert-file', certPath];
	await startRedis(t, '--tls-port', String(port), ...files, '--tls-auth-clients', 'yes');
	const relay = ['--relay', `rediss://localhost:${port}`];
	const own = ['--relay-cert', certPath, '--relay-key', keyPath];
	await assertServes(t, await startTestServer(t, ...relay, ...own, '--relay-ca', certPath));
	const untrusting = await startTestServer(t, ...relay, ...own);
	assert.match((await readiness(untrusting))[1], /^relay: .*self.signed certificate/);
	assert.ok(untrusting.log.some(({ event, reason }) => event === 'relay' && /self.signed certificate/.test(String(reason))));
	const anonymous = await startTestServer(t, ...relay, '--relay-ca', certPath);
	assert.match((await readiness(anonymous))[1], /^relay: .+/);
	const [plain] = await startSharing(t, { url: `redis://127.0.0.1:${port}` }, 1, '--relay-timeout', '1s');
	assert.match((await readiness(plain))[1], /^relay: .+/);
});

/** A subscriber gets what is published. */
async function assertServes(t: TestContext, server: Awaited<ReturnType<typeof startTestServer>>): Promise<void> {
	assert.deepEqual(await readiness(server), [200, 'OK']);
	const subscriber = await subscribe(t, server.ws('/room'));
	await post(server.port, '/room', 'hello');
	assert.equal(await subscriber.nextText(), 'hello');
}
