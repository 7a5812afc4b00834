// Sessions, and connections with many channels, over several servers.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { changed, openGroups } from '../support/groups.js';
import { post, request } from '../support/http.js';
import { startNamingService } from '../support/naming-service.js';
import { protocol } from '../support/protocol.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { metric, metricBecomes, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { freeze, readinessBecomes, startSharing, subscribesOf, subscriptions, subscriptionsBecome } from './support/sharing.js';

const gap = 'the relay was lost, and messages may be missed; connect again';

/** Two servers whose connections have the session that their query says. */
async function startNaming(t: TestContext, ...flags: string[]) {
	const redis = await startRedis(t);
	const auth = await startNamingService(t);
	const [a, b] = await startSharing(t, redis, 2, '--auth', auth.url, ...flags);
	return { redis, a, b };
}

/** Asks the operator's listener of a server to send or to close, and gives the status and the answer. */
async function ask({ operatorPort }: TestServer, what: '/send' | '/close', sessions: string, body: string, headers = {}) {
	const answer = await request(operatorPort, {
		method: 'POST',
		path: what,
		headers: { 'X-Session': sessions, ...headers },
		body,
	});
	return [answer.status, JSON.parse(answer.body)];
}

const ok = [200, { result: 'OK' }];
const missing = (session: string) => ({ error: 'session is not found.', session });

protocol(
	'With `--relay`, `/send` and `/close` reach the sessions of all servers, and `/sessions/alice` shows the connections of this server.',
	async (t) => {
		const { redis, a, b } = await startNaming(t);
		const [alice, bob] = [await subscribe(t, a.ws('/room?alice')), await subscribe(t, b.ws('/room?bob'))];
		assert.equal(await subscriptions(redis, 'alice'), 1);
		assert.deepEqual(await ask(b, '/send', 'alice, bob', 'for both'), ok);
		for (const subscriber of [alice, bob]) assert.equal(await subscriber.nextText(), 'for both');
		assert.equal((await request(a.operatorPort, { path: '/sessions/alice' })).status, 200);
		const elsewhere = await request(b.operatorPort, { path: '/sessions/alice' });
		assert.deepEqual([elsewhere.status, elsewhere.body.trim()], [404, 'No connection of this server has this session.']);
		for (let i = 0; i < 5; i++) assert.deepEqual(await ask(b, '/send', 'alice', String(i)), ok);
		assert.deepEqual(await ask(b, '/close', 'alice', 'bye'), ok);
		assert.deepEqual(await alice.textsUntilClosed(1000), ['0', '1', '2', '3', '4', 'bye']);
		assert.deepEqual(await alice.closed, { code: 1000, reason: 'the session was closed' });
		await post(a.port, '/room', 'sentinel');
		assert.equal(await bob.nextText(), 'sentinel');
	},
	needsRedis,
);

test('a session that no server has is not found, and with handling=strict nothing is sent then', needsRedis, async (t) => {
	const { a, b } = await startNaming(t);
	const alice = await subscribe(t, a.ws('/room?alice'));
	assert.deepEqual(await ask(b, '/send', 'nobody', 'x'), [200, { errors: [missing('nobody')], result: 'NG' }]);
	assert.deepEqual(await ask(b, '/send', 'alice,nobody', 'loose'), [200, { errors: [missing('nobody')], result: 'OK' }]);
	const strict = { Prefer: 'handling=strict' };
	for (const what of ['/send', '/close'] as const)
		assert.deepEqual(await ask(b, what, 'alice,nobody', 'x', strict), [400, { errors: [missing('nobody')], result: 'NG' }]);
	assert.deepEqual(await ask(b, '/send', 'alice', 'sentinel', strict), ok);
	assert.deepEqual(await alice.texts(2), ['loose', 'sentinel']);
});

test('/send and /close are refused with 503 while the relay is away, for sessions and channels alike', needsRedis, async (t) => {
	const { redis, a } = await startNaming(t);
	await redis.kill();
	await readinessBecomes(a, 503);
	for (const path of ['/send', '/close']) {
		for (const target of [{ 'X-Session': 'alice' }, { 'X-Channel': '/room' }]) {
			const answer = await request(a.operatorPort, { method: 'POST', path, headers: target, body: 'x' });
			const { errors, result } = JSON.parse(answer.body);
			assert.deepEqual([answer.status, answer.headers.get('retry-after'), result], [503, '5', 'NG'], path);
			assert.match(errors[0].error, /^The relay of this server cannot be reached: nothing was done/);
		}
	}
	assert.equal(await metric(a, 'pathcast_refusals_total{reason="relay"}'), 4);
});

test('a gap of the relay closes a connection with a session once', needsRedis, async (t) => {
	const { redis, a } = await startNaming(t);
	const alice = await subscribe(t, a.ws('/room?alice'));
	await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
	assert.deepEqual(await alice.closed, { code: 1012, reason: gap });
	await metricBecomes(a, 'pathcast_disconnects_total{reason="relay"}', 1);
	assert.equal(await metric(a, 'pathcast_sessions'), 0);
	await readinessBecomes(a, 200);
	const again = await subscribe(t, a.ws('/room?alice'));
	assert.deepEqual(await ask(a, '/send', 'alice', 'here again'), ok);
	assert.equal(await again.nextText(), 'here again');
});

protocol(
	'With `--groups` and `--relay`, a change is answered when the relay has confirmed what is joined; every message is `from: relay`.',
	async (t) => {
		const redis = await startRedis(t);
		const [a, b] = await startSharing(t, redis, 2, '--groups', '--relay-timeout', '60s');
		const client = await openGroups(t, a, '/page');
		const goOn = await freeze(redis);
		client.send('add: /jobs/7 /jobs/8');
		await metricBecomes(a, 'pathcast_relay_channels', 3);
		assert.equal(await metric(a, 'pathcast_subscribers'), 1, 'nothing is joined yet');
		goOn();
		assert.deepEqual(await client.nextAnswer(), changed('/page /jobs/7 /jobs/8', '/jobs/7 /jobs/8'));
		await post(b.port, '/jobs/7', 'by POST');
		(await subscribe(t, b.ws('/page'))).send('by websocket');
		client.publish('/jobs/8', 'from here');
		const messages = await client.messages(3);
		assert.deepEqual(messages.sort(), [
			['/jobs/7', 'relay', 'by POST'],
			['/jobs/8', 'relay', 'from here'],
			['/page', 'relay', 'by websocket'],
		]);
	},
	needsRedis,
);

test('a path of a change that the relay cannot serve is refused with 503', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--groups');
	const client = await openGroups(t, server, '/page');
	await redis.kill();
	assert.deepEqual(await client.nextAnswer(), { ...changed('', '', '/page'), reason: gap });
	client.send('add: /jobs/7');
	const [path, status, reason] = await client.nextRefusal();
	assert.deepEqual([path, status], ['/jobs/7', 503]);
	assert.match(reason, /^The relay of this server cannot be reached: nothing was done/);
});

protocol(
	'With `--groups`, a connection that may have missed messages of the relay loses the channels concerned, is told `left:` and `reason:`, and goes on: it can subscribe again.',
	async (t) => {
		const redis = await startRedis(t);
		const [a, b] = await startSharing(t, redis, 2, '--groups', '--relay-timeout', '60s');
		const client = await openGroups(t, a, '/page');
		await client.change('add: /jobs/7');
		await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
		const left = [await client.nextAnswer(), await client.nextAnswer()];
		assert.deepEqual(left.map(({ left, reason }) => `${left} ${reason}`).sort(), [`/jobs/7 ${gap}`, `/page ${gap}`]);
		assert.equal(left[1]?.subscribed, '');
		for (const server of [a, b]) await readinessBecomes(server, 200);
		assert.deepEqual(await client.change('add: /jobs/7 /page'), changed('/jobs/7 /page', '/jobs/7 /page'));
		await post(b.port, '/jobs/7', 'here again');
		assert.deepEqual(await client.nextMessage(), ['/jobs/7', 'relay', 'here again']);
	},
	needsRedis,
);

test(
	'a DELETE on another server takes the channel from a connection with others, after its last message',
	needsRedis,
	async (t) => {
		const redis = await startRedis(t);
		const [a, b] = await startSharing(t, redis, 2, '--groups');
		const client = await openGroups(t, a, '/page');
		await client.change('add: /jobs/7');
		for (let i = 0; i < 3; i++) await post(b.port, '/jobs/7', String(i));
		const answer = await request(b.operatorPort, { method: 'DELETE', path: '/channels/jobs/7', body: 'bye' });
		assert.deepEqual(JSON.parse(answer.body), { scope: 'node', closed: 0, nodes: 1 });
		const bodies = (await client.messages(4)).map(([, , body]) => body);
		assert.deepEqual(bodies, ['0', '1', '2', 'bye']);
		assert.deepEqual(await client.nextAnswer(), { ...changed('/page', '', '/jobs/7'), reason: 'the channel was closed' });
		await post(b.port, '/page', 'goes on');
		assert.deepEqual(await client.nextMessage(), ['/page', 'relay', 'goes on']);
		await subscriptionsBecome(redis, '/page', 1);
	},
);

test(
	'a change that waits for the relay is refused when the relay is lost, and leaves nothing when its client goes',
	needsRedis,
	async (t) => {
		const redis = await startRedis(t);
		const [server] = await startSharing(t, redis, 1, '--groups', '--relay-timeout', '60s', '--relay-linger', '1s');
		const [leaving, staying] = [await openGroups(t, server, '/page'), await openGroups(t, server, '/page')];
		const goOn = await freeze(redis);
		leaving.send('add: /left');
		await metricBecomes(server, 'pathcast_relay_channels', 2);
		leaving.ws.terminate();
		await metricBecomes(server, 'pathcast_connections', 1);
		goOn();
		while ((await subscribesOf(redis)) < 2);
		await subscriptionsBecome(redis, '/left', 0);
		await metricBecomes(server, 'pathcast_relay_channels', 1);
		await freeze(redis);
		staying.send('add: /lost');
		await metricBecomes(server, 'pathcast_relay_channels', 2);
		await redis.kill();
		const heads = [(await staying.next()).head, (await staying.next()).head];
		const told = heads.map((head) =>
			head.has('refused') ? ['refused', head.get('refused'), head.get('status')] : ['left', head.get('left')],
		);
		assert.deepEqual(told.sort(), [
			['left', '/page'],
			['refused', '/lost', '503'],
		]);
		assert.equal(await metric(server, 'pathcast_connections'), 1);
	},
);
