// A Redis that runs, and refuses: for its state, its users, its limits or its certificate.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe } from 'node:test';
import { Redis } from 'ioredis';
import { becomes } from '../../relay/support/becomes.js';
import { freePort } from '../../support/free-port.js';
import { pem } from '../../support/pem.js';
import { RedisProcess, startRedis } from '../../support/redis.js';
import { subscribeMany } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { certPath, keyPath } from '../../support/tls.js';
import { inForm, torture } from '../support/torture.js';
import { startSharedRoom } from './support/shared-room.js';
import { withRedis } from './support/with-redis.js';

const gone = 'All subscribers are closed with 1012, and everything gets 503, until';

describe('a Redis that refuses', { concurrency: 4 }, () => {
	torture(
		{
			thrown: 'the memory of Redis is full (`maxmemory`, `noeviction`)',
			promised: 'Nothing is stored, so messages and new subscriptions go on.',
		},
		async (t) => {
			const redis = await startRedis(t);
			const room = await startSharedRoom(t, redis);
			await room.serves();
			await redis.run('CONFIG', 'SET', 'maxmemory', '1');
			await assert.rejects(redis.run('SET', 'key', 'value'), /OOM/);
			await room.serves();
			const opened = await subscribeMany(t, inForm(200, 2_000), (nth) => room.nodes[nth % 2]?.ws(`/new/${nth}`) ?? '');
			return `SET gets OOM. ${room.messages} messages reached both nodes, ${opened.length} channels opened.`;
		},
		withRedis,
	);

	torture(
		{ thrown: 'Redis restarts and loads a data set (`LOADING`)', promised: `${gone} Redis has loaded it.` },
		async (t) => {
			const folder = temporaryFolder(t);
			const port = await freePort();
			const args = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--dir', folder];
			// It answers after each key, and waits 20 ms for it.
			const slow = ['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024'];
			const first = new RedisProcess(t, port, args);
			await first.start();
			await first.run('EVAL', "for i = 1, 2000 do redis.call('SET', i, string.rep('x', 2000)) end", 0);
			await first.run('CONFIG', 'SET', 'rdbcompression', 'no');
			await first.run('SAVE');
			const room = await startSharedRoom(t, first);
			await room.serves();
			await first.kill();
			const loading = new RedisProcess(t, port, [...args, ...slow]);
			const started = loading.start();
			await room.isLost(/LOADING[^.]*/);
			const client = new Redis({ port, enableReadyCheck: false, disableClientInfo: true });
			t.after(() => client.disconnect());
			await client.config('SET', 'key-load-delay', '0');
			await started;
			await room.serves();
			return room.seen;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'Redis becomes a replica of a server that is not there (`REPLICAOF`)',
			promised: `${gone} Redis is a master again. A replica orders nothing.`,
		},
		async (t) => {
			const redis = await startRedis(t);
			const room = await startSharedRoom(t, redis);
			await room.serves();
			await redis.run('REPLICAOF', '127.0.0.1', '1');
			await room.isLost(/it is a replica[^.]*/);
			await redis.run('REPLICAOF', 'NO', 'ONE');
			await room.serves();
			return room.seen;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'the user of the nodes loses its channels, then its password, and then is deleted (`ACL`)',
			promised: `${gone} the user is as before. No log and no answer has the password.`,
		},
		async (t) => {
			const redis = await startRedis(t);
			const rights = '+hello +ping +eval +spublish +ssubscribe +sunsubscribe +pubsub|shardnumsub'.split(' ');
			const restore = () =>
				redis.run('ACL', 'SETUSER', 'rooms', 'reset', 'on', '>se-cr-et', 'resetchannels', '&pathcast:*', ...rights);
			await restore();
			const room = await startSharedRoom(t, { url: redis.url.replace('redis://', 'redis://rooms:se-cr-et@') });
			await room.serves();
			await redis.run('ACL', 'SETUSER', 'rooms', 'resetchannels');
			await room.isLost(/its user may not do that/);
			await restore();
			await room.serves();
			await redis.run('ACL', 'SETUSER', 'rooms', 'resetpass', '>another');
			await redis.run('CLIENT', 'KILL', 'USER', 'rooms');
			await room.isLost(/it does not take this user and password/);
			await restore();
			await room.serves();
			await redis.run('ACL', 'DELUSER', 'rooms');
			await room.isLost(/it does not take this user and password/);
			await restore();
			await room.serves();
			for (const { log } of room.nodes) assert.ok(!JSON.stringify(log).includes('se-cr-et'));
			return room.seen;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'other clients take all connections of Redis (`maxclients`), and it ends those of the nodes',
			promised: `${gone} some of the others have gone.`,
		},
		async (t) => {
			const redis = await startRedis(t, '--maxclients', '20');
			// The connection of the test has to be there before the others.
			await redis.run('PING');
			const room = await startSharedRoom(t, redis);
			await room.serves();
			const sockets = Array.from({ length: 40 }, () => connect(redis.port, '127.0.0.1').on('error', () => {}));
			t.after(() => {
				for (const socket of sockets) socket.destroy();
			});
			const connected = async () => Number(/connected_clients:(\d+)/.exec(String(await redis.run('INFO', 'clients')))?.[1]);
			await becomes(async () => (await connected()) === 20);
			await redis.run('CONFIG', 'SET', 'maxclients', '10');
			await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
			await room.isLost(/max number of clients reached|the server closed the connection|ECONNRESET|Connection is closed/);
			for (const socket of sockets) socket.destroy();
			await room.serves();
			return room.seen;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'a script keeps Redis busy (`BUSY`) for longer than `--relay-timeout`',
			promised: `${gone} the script is ended.`,
		},
		async (t) => {
			const redis = await startRedis(t, '--busy-reply-threshold', '100');
			// The connection of the test has to be there before the script.
			await redis.run('PING');
			const room = await startSharedRoom(t, redis);
			await room.serves();
			const client = new Redis({ port: redis.port, enableReadyCheck: false });
			t.after(() => client.disconnect());
			await once(client, 'ready');
			const script = client.eval('while true do end', 0).catch(() => {});
			await room.isLost(/BUSY[^.]*|no answer[^.]*/);
			await redis.run('SCRIPT', 'KILL');
			await script;
			await room.serves();
			return room.seen;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'the UNIX socket of Redis is removed, and Redis then ends the connections of the nodes',
			promised: `The connections that are there go on. ${gone} Redis has its socket again.`,
		},
		async (t) => {
			const path = `${temporaryFolder(t)}/redis.sock`;
			const redis = await startRedis(t, '--unixsocket', path);
			const room = await startSharedRoom(t, { url: `unix://${path}` });
			await room.serves();
			rmSync(path);
			await room.serves();
			await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
			await room.isLost(/ENOENT/);
			await redis.kill();
			await redis.start();
			await room.serves();
			return room.seen;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'the certificate of Redis expires, and Redis then ends the connections of the nodes',
			promised: `The connections that are there go on. ${gone} Redis has a valid certificate.`,
		},
		async (t) => {
			const port = await freePort();
			const files = ['--tls-cert-file', certPath, '--tls-key-file', keyPath, '--tls-ca-cert-file', certPath];
			const redis = await startRedis(t, '--tls-port', String(port), ...files, '--tls-auth-clients', 'no');
			const both = `${temporaryFolder(t)}/ca.pem`;
			writeFileSync(both, [certPath, pem('expired.cert')].map((file) => readFileSync(file, 'utf8')).join(''));
			const room = await startSharedRoom(t, { url: `rediss://localhost:${port}` }, '--relay-ca', both);
			await room.serves();
			await redis.run('CONFIG', 'SET', 'tls-cert-file', pem('expired.cert'));
			await room.serves();
			await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
			await room.isLost(/certificate has expired/);
			await redis.run('CONFIG', 'SET', 'tls-cert-file', certPath);
			await room.serves();
			return room.seen;
		},
		withRedis,
	);
});
