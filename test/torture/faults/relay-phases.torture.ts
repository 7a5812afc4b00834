// A Redis that dies or hangs while nodes start, stop, or let clients in; the nodes are processes.
import assert from 'node:assert/strict';
import { describe, type TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { freeze, readinessBecomes } from '../../relay/support/sharing.js';
import { openClient } from '../../support/clients.js';
import { anyPort, type Command, runCommand } from '../../support/command.js';
import { knockMany, openStatus, requestFor } from '../../support/doors.js';
import { post } from '../../support/http.js';
import { startRedis } from '../../support/redis.js';
import { metricOf } from '../../support/server.js';
import { subscribe, subscribeMany } from '../../support/subscriber.js';
import { inForm, torture } from '../support/torture.js';
import { withRedis } from './support/with-redis.js';

const stopping = '1012 the server is restarting; connect again';
const upgrades = 1_000;

describe('a Redis that dies in each phase of a node', { concurrency: 4 }, () => {
	torture(
		{
			thrown: 'Redis is killed while nodes start',
			promised: 'Each node starts, is not ready (503), and serves as soon as Redis is there.',
		},
		async (t) => {
			const redis = await startRedis(t);
			const starts = Array.from({ length: inForm(4, 8) }, () => start(t, redis.url));
			// When Redis sees the first of them, the others are starting.
			await becomes(async () => Number(/total_connections_received:(\d+)/.exec(String(await redis.run('INFO')))?.[1]) > 1);
			await redis.kill();
			const nodes = await Promise.all(starts.map(addresses));
			for (const node of nodes) await readinessBecomes(node, 503);
			await redis.start();
			for (const node of nodes) await readinessBecomes(node, 200);
			const heard = await Promise.all(nodes.map(({ port }) => subscribe(t, `ws://127.0.0.1:${port}/room`)));
			await post(nodes[0]?.port ?? 0, '/room', 'for all');
			for (const subscriber of heard) assert.equal(await subscriber.nextText(), 'for all');
			return `${nodes.length} nodes started, were 503, and served; a message reached all ${heard.length}.`;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'SIGTERM while Redis hangs, with `--relay-timeout 60s`, and a POST waits for it',
			promised: 'The node closes its clients with 1012, and ends with exit code 0, long before that time-out.',
		},
		async (t) => {
			const redis = await startRedis(t);
			const command = start(t, redis.url, '--relay-timeout', '60s');
			const { port, operatorPort } = await addresses(command);
			const server = { port, ws: (path: string) => `ws://127.0.0.1:${port}${path}` };
			const clients = [await openClient(t, 'websocket', server, '/room'), await openClient(t, 'event stream', server, '/room')];
			await freeze(redis);
			const posted = post(port, '/room', 'waits').then(
				({ status }) => `was answered ${status}`,
				() => 'was cut',
			);
			await becomes(async () => (await metricOf(operatorPort, 'pathcast_relay_waiting_bytes')) > 0);
			const startMs = performance.now();
			command.child.kill('SIGTERM');
			assert.deepEqual(await Promise.all(clients.map(({ end }) => end)), [stopping, 'ended']);
			const { code } = await command.ended;
			assert.equal(code, 0);
			assert.doesNotMatch(command.stdout, /no answer for 60 s/);
			const seconds = Math.round((performance.now() - startMs) / 1_000);
			assert.ok(seconds < 30, `${seconds} s`);
			return `A websocket closed with 1012, an event stream ended with its last chunk, the POST ${await posted}; exit code ${code} after ${seconds} s.`;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'Redis is killed while a node that was told to stop closes its clients over `--drain`',
			promised: 'Every client is closed with 1012, and the node ends with exit code 0.',
		},
		async (t) => {
			const redis = await startRedis(t);
			const command = start(t, redis.url, '--drain', '2s');
			const { port } = await addresses(command);
			const subscribers = await subscribeMany(t, inForm(500, 2_000), (nth) => `ws://127.0.0.1:${port}/room/${nth % 50}`);
			command.child.kill('SIGTERM');
			await Promise.race(subscribers.map(({ closed }) => closed));
			const open = subscribers.filter(({ ws }) => ws.readyState === ws.OPEN).length;
			assert.ok(open > 0);
			await redis.kill();
			const codes = await Promise.all(subscribers.map(async ({ closed }) => (await closed).code));
			assert.deepEqual([...new Set(codes)], [1012]);
			const { code } = await command.ended;
			assert.equal(code, 0);
			return `${codes.length} websockets closed with 1012, ${open} of them after Redis was killed; exit code ${code}.`;
		},
		withRedis,
	);

	torture(
		{
			thrown: '1,000 upgrades wait for Redis to confirm them, and it is killed',
			promised: 'Each gets 503, none is left, and the node lets them in when Redis is back.',
		},
		async (t) => {
			const redis = await startRedis(t);
			const command = start(t, redis.url, '--relay-timeout', '60s');
			const { port, operatorPort } = await addresses(command);
			const channels = () => metricOf(operatorPort, 'pathcast_relay_channels');
			await freeze(redis);
			const requestOf = (nth: number) => requestFor('websocket', `/room/${nth}`);
			const waiting = await knockMany(port, upgrades, requestOf);
			await becomes(async () => (await channels()) === upgrades);
			await redis.kill();
			const refused = await Promise.all(waiting.map(async (connection) => (await connection.answer()).status));
			assert.deepEqual([...new Set(refused)], [503]);
			await becomes(async () => (await channels()) === 0);
			await redis.start();
			await readinessBecomes({ operatorPort }, 200);
			const again = await knockMany(port, upgrades, requestOf);
			const opened = await Promise.all(again.map(async (connection) => (await connection.answer()).status));
			assert.deepEqual([...new Set(opened)], [openStatus.websocket]);
			for (const connection of again) connection.end();
			return `${refused.length} got 503, and no channel was left; ${opened.length} were let in when Redis was back.`;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'Redis is killed while slow subscribers are catching up',
			promised: 'They get nothing after a gap: a gapless piece, and then the end.',
		},
		async (t) => {
			const redis = await startRedis(t);
			const command = start(t, redis.url, '--max-backlog', '64MiB', '--relay-timeout', '5s');
			const { port, operatorPort } = await addresses(command);
			const slow = await subscribeMany(t, 10, () => `ws://127.0.0.1:${port}/room`);
			for (const { ws } of slow) ws.pause();
			const lagging = () => metricOf(operatorPort, 'pathcast_lagging_subscribers');
			let sent = 0;
			for (; (await lagging()) < slow.length; sent++) {
				assert.ok(sent < 1_000, 'nobody lags');
				assert.equal((await post(port, '/room', `${sent} `.padEnd(64_000, 'x'))).status, 200);
			}
			await redis.kill();
			await readinessBecomes({ operatorPort }, 503);
			for (const { ws } of slow) ws.resume();
			let deliveries = 0;
			const ends = new Map<number, number>();
			for (const subscriber of slow) {
				const { code } = await subscriber.closed;
				const texts = await subscriber.textsUntilClosed(code);
				for (const [nth, text] of texts.entries()) assert.equal(Number.parseInt(text, 10), nth);
				deliveries += texts.length;
				ends.set(code, (ends.get(code) ?? 0) + 1);
			}
			const [[code, count] = assert.fail(), ...others] = [...ends];
			assert.deepEqual([code, others], [1012, []]);
			return `${deliveries} of ${sent * slow.length} messages in gapless pieces; then ${count} were closed with ${code}.`;
		},
		withRedis,
	);
});

function start(t: TestContext, relay: string, ...flags: string[]): Command {
	return runCommand(t, [...anyPort, '--relay', relay, ...flags]);
}

async function addresses(command: Command): Promise<{ port: number; operatorPort: number }> {
	return { port: await command.port(), operatorPort: await command.operatorPort() };
}
