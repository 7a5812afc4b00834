import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { post } from '../support/http.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { becomes } from './support/becomes.js';
import { ended, type FakeRedis, startFakeRedis } from './support/fake-redis.js';
import { areReady, readiness } from './support/nodes.js';

// The server still serves the slot in all of these: it went away and came back before the node could look.

test('a subscription that the relay ends while nothing is in flight closes the subscriber', async (t) => {
	const { fake, room } = await startNode(t);
	fake.end('pathcast:/room');
	assert.equal((await room.closed).code, 1012);
});

test('a subscription that the relay ends before it answers a publish closes the subscriber', async (t) => {
	const { fake, room, node } = await startNode(t);
	fake.before.set('EVAL', ended('pathcast:/room'));
	await post(node.port, '/room', 'x');
	assert.equal((await room.closed).code, 1012);
});

test('a subscription that the relay ends before it answers another closes the subscriber', async (t) => {
	const { fake, room, node } = await startNode(t);
	fake.before.set('SSUBSCRIBE', ended('pathcast:/room'));
	await subscribe(t, node.ws('/other'));
	assert.equal((await room.closed).code, 1012);
});

test('a subscription that the relay ends before it answers the end of another closes the subscriber', async (t) => {
	const { fake, room, node } = await startNode(t);
	const other = await subscribe(t, node.ws('/other'));
	fake.before.set('SUNSUBSCRIBE', ended('pathcast:/room'));
	await other.close();
	await fake.got('SUNSUBSCRIBE pathcast:/other');
	assert.equal((await room.closed).code, 1012);
});

test('no command gets the answer of another when the relay ends a subscription and refuses to end another', async (t) => {
	const { fake, room, node } = await startNode(t);
	const other = await subscribe(t, node.ws('/other'));
	fake.holdsFrom = 'SUNSUBSCRIBE';
	fake.before.set('SUNSUBSCRIBE', ended('pathcast:/room'));
	fake.instead.set('SUNSUBSCRIBE', ['-MOVED 1 127.0.0.1:1\r\n']);
	await other.close();
	await fake.got('SUNSUBSCRIBE pathcast:/other');
	const before = fake.commands.length;
	const posted = post(node.port, '/room', 'x');
	while (!fake.commands.slice(before).some((command) => command.startsWith('EVAL'))) await fake.more();
	fake.release();
	assert.equal((await posted).status, 502, 'its own answer is not known');
	assert.equal((await room.closed).code, 1012);
});

test('a subscription that the relay ends as soon as it has confirmed it closes the subscriber', async (t) => {
	const { fake, node } = await startNode(t);
	fake.after.set('SSUBSCRIBE', ended('pathcast:/other'));
	const closed = await subscribe(t, node.ws('/other')).then(
		async (other) => (await other.closed).code,
		(error) => String(error),
	);
	assert.match(String(closed), /1012|503/);
});

test('a slot that two masters claim is served by neither until one gives it up', async (t) => {
	const [a, b] = [await startFakeRedis(t), await startFakeRedis(t)];
	const range = (from: number, to: number, port: number) => ({ from, to, port });
	a.slots = [range(0, 16_383, a.port)];
	const after = [range(0, 8_000, a.port), range(8_001, 16_383, b.port)];
	b.slots = after;
	const node = await startTestServer(t, '--relay', `redis://127.0.0.1:${b.port}`);
	assert.match(await readiness(node), /^503 relay: some slots .* have no master, or two/);
	const statuses = async () => [(await post(node.port, '/room/1', 'x')).status, (await post(node.port, '/room/2', 'x')).status];
	assert.deepEqual(await statuses(), [503, 200]);
	a.slots = after;
	await areReady([node]);
	assert.deepEqual(await statuses(), [200, 200]);
});

/** Starts a cluster of one server, a node, and a subscriber of /room. */
async function startNode(t: TestContext) {
	const fake: FakeRedis = await startFakeRedis(t);
	fake.slots = [{ from: 0, to: 16_383, port: fake.port }];
	const node = await startTestServer(t, '--relay', `redis://127.0.0.1:${fake.port}`, '--relay-linger', '1s');
	await becomes(async () => (await readiness(node)).startsWith('200'));
	return { fake, node, room: await subscribe(t, node.ws('/room')) };
}
