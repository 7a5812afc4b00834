// A server in place of Redis that answers what Redis never would. Each node has a server of its own, and none may crash or hang.
import assert from 'node:assert/strict';
import { describe, type TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { type FakeRedis, startFakeRedis } from '../../relay/support/fake-redis.js';
import { areReady, readiness } from '../../relay/support/nodes.js';
import { post } from '../../support/http.js';
import { seededRandom } from '../../support/random.js';
import { startRedis } from '../../support/redis.js';
import { metricBecomes, startTestServer } from '../../support/server.js';
import { subscribe } from '../../support/subscriber.js';
import { inForm, torture } from '../support/torture.js';
import { startSharedRoom } from './support/shared-room.js';
import { withoutRedis, withRedis } from './support/with-redis.js';

const hugeBytes = 67_108_864;
const message = `>3\r\n$8\r\nsmessage\r\n$14\r\npathcast:/room\r\n$5\r\n`;
/** Of other types, of impossible lengths, or of no type. */
const malformed = [
	'+OK\r\n',
	'-\r\n',
	'$-1\r\n',
	'$-5\r\n\r\n',
	'*-1\r\n',
	'_\r\n',
	'#x\r\n',
	',nan\r\n',
	':abc\r\n',
	':99999999999999999999\r\n',
	'*2147483647\r\n',
	'%1\r\n+a\r\n',
	'|1\r\n+a\r\n+b\r\n',
	'>0\r\n',
	'>1\r\n$8\r\nsmessage\r\n',
	'\r\n\r\n',
	'HTTP/1.1 400 Bad Request\r\n\r\n',
];

describe('answers of no Redis', { concurrency: 4 }, () => {
	torture(
		{
			thrown: 'an answer of Redis is malformed, of another type, or random bytes',
			promised:
				'The node goes on: the POST is answered, with 502 if nobody knows its outcome; its subscribers stay, or are closed with 1012. It serves again.',
		},
		async (t) => {
			const random = seededRandom(t);
			const randomBytes = () => String.fromCharCode(...Array.from({ length: 1 + random.below(40) }, () => random.below(256)));
			const answers = [...malformed, ...Array.from({ length: inForm(7, 60) }, randomBytes)];
			const statuses = new Map<number, number>();
			let closed = 0;
			await Promise.all(
				answers.map(async (answer) => {
					const { fake, node, room } = await startNode(t);
					fake.instead.set('PUBLISH', [answer]);
					const { status } = await post(node.port, '/room', 'x');
					// 503 says that nothing was published, and only an error does.
					assert.ok([200, 502, answer.startsWith('-') ? 503 : 0].includes(status), `${status} for ${JSON.stringify(answer)}`);
					statuses.set(status, (statuses.get(status) ?? 0) + 1);
					await becomes(async () => (await post(node.port, '/other', 'x')).status === 200);
					await areReady([node]);
					if (room.ws.readyState === room.ws.OPEN) return;
					assert.equal((await room.closed).code, 1012, JSON.stringify(answer));
					closed++;
				}),
			);
			const seen = [...statuses].map(([status, count]) => `${count} POSTs got ${status}`).join(', ');
			return `${answers.length} answers: ${seen}; ${closed} subscribers closed with 1012; all nodes served again.`;
		},
		withoutRedis,
	);

	torture(
		{
			thrown: 'a message from Redis is cut at each of its bytes, and the connection ends',
			promised: 'The subscriber gets nothing of it, and is closed with 1012. The node connects again.',
		},
		async (t) => {
			const whole = `${message}hello\r\n`;
			// With the first byte of its last line end, it has all come.
			const cuts = Array.from({ length: whole.length - 2 }, (_, i) => i + 1).filter((i) => i % inForm(6, 1) === 0);
			await Promise.all(
				cuts.map(async (length) => {
					const { fake, node, room } = await startNode(t);
					fake.cut(whole.slice(0, length));
					assert.deepEqual(await room.textsUntilClosed(1012), [], `${length} bytes`);
					await areReady([node]);
				}),
			);
			return `${cuts.length} cuts: no part of a message came, ${cuts.length} subscribers closed with 1012; all nodes connected again.`;
		},
		withoutRedis,
	);

	torture(
		{
			thrown: 'Redis brings messages of 64 MiB',
			promised: 'They are longer than `--max-message`: the nodes drop and count them, and go on.',
		},
		async (t) => {
			const redis = await startRedis(t, '--client-output-buffer-limit', 'pubsub 0 0 0');
			const room = await startSharedRoom(t, redis, '--relay-timeout', '30s');
			await room.serves();
			const huge = Buffer.alloc(hugeBytes, 'x');
			const count = inForm(2, 8);
			for (let i = 0; i < count; i++) assert.equal(await redis.run('SPUBLISH', 'pathcast:/room', huge), 2);
			for (const node of room.nodes) await metricBecomes(node, 'pathcast_relay_dropped_total', count);
			await room.serves();
			return `${count} messages dropped and counted by each of 2 nodes; ${room.messages} others reached both, and no subscriber was closed.`;
		},
		withRedis,
	);

	torture(
		{
			thrown: 'a server of a cluster names a master that accepts connections and never answers',
			promised: 'The slots of the others are served after `--relay-timeout`; the channels of that master get 503.',
		},
		async (t) => {
			const [fake, silent] = [await startFakeRedis(t), await startFakeRedis(t)];
			silent.holdsFrom = 'HELLO';
			fake.slots = [
				{ from: 0, to: 8_000, port: fake.port },
				{ from: 8_001, to: 16_383, port: silent.port },
			];
			const node = await startTestServer(t, '--relay', `redis://127.0.0.1:${fake.port}`, '--relay-timeout', '1s');
			const statuses = new Map<number, number>();
			for (let i = 0; i < 100; i++) {
				const { status } = await post(node.port, `/room/${i}`, 'x');
				statuses.set(status, (statuses.get(status) ?? 0) + 1);
			}
			assert.deepEqual([...statuses.keys()].sort(), [200, 503]);
			assert.match(await readiness(node), /^503 relay: /);
			return `Of 100 channels, POSTs to ${statuses.get(200)} got 200, and to ${statuses.get(503)} 503.`;
		},
		withoutRedis,
	);
});

/** Starts a server in place of a cluster of one, a node, and a subscriber of /room. */
async function startNode(t: TestContext) {
	const fake: FakeRedis = await startFakeRedis(t);
	fake.slots = [{ from: 0, to: 16_383, port: fake.port }];
	const node = await startTestServer(t, '--relay', `redis://127.0.0.1:${fake.port}`, '--relay-timeout', '1s');
	await areReady([node]);
	return { fake, node, room: await subscribe(t, node.ws('/room')) };
}
