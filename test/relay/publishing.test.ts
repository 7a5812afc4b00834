// Publishing by way of the relay: what the answers say, and what becomes of messages that the relay does not take.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Answer, post } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { metric, metricBecomes } from '../support/server.js';
import { answering, byPath, type Script, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';
import { freeze, readinessBecomes, startSharing, subscriptionsBecome } from './support/sharing.js';

const waiting = 'pathcast_relay_waiting_bytes';
/** What each message that waits counts beside its bytes. */
const overhead = 64;

/** The status, how many listen by relay, and how many subscribers there are, as far as the answer says it. */
function heardBy({ status, headers }: Answer): [number, string | undefined, string | undefined] {
	return [status, headers.get('x-nodes'), headers.get('x-subscribers')];
}

/** A server whose relay takes two messages of 1,000 bytes on a channel at most, and waits a minute for its answers. */
async function startNarrow(t: TestContext) {
	const redis = await startRedis(t);
	const flags = ['--max-message', '1000', '--max-backlog', '2000', '--relay-timeout', '60s'];
	const [server] = await startSharing(t, redis, 1, ...flags);
	return { redis, server };
}

protocol(
	'With `--relay`, the answer to a POST has `X-Nodes`: how many servers and other clients of the relay listen; `X-Subscribers` is there if nobody listens, or if all subscribers are on this server.',
	async (t) => {
		const redis = await startRedis(t);
		const [a, b] = await startSharing(t, redis, 2);
		assert.deepEqual(heardBy(await post(a.port, '/room', 'x')), [200, undefined, '0']);
		await subscribe(t, a.ws('/room'));
		await subscribe(t, a.ws('/room'));
		for (const body of ['x', '']) {
			assert.deepEqual(heardBy(await post(a.port, '/room', body)), [200, '1', '2'], 'all are here');
			assert.deepEqual(heardBy(await post(b.port, '/room', body)), [200, '1', undefined], 'all are on the other server');
		}
		await subscribe(t, b.ws('/room'));
		assert.deepEqual(heardBy(await post(a.port, '/room', 'x')), [200, '2', undefined], 'they are on both');
		assert.deepEqual(heardBy(await post(a.operatorPort, '/channels/room', 'x')), [200, '2', undefined]);
	},
	needsRedis,
);

test('If-Match: * is refused with 412 if nobody listens, also while a channel lingers', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1, '--relay-linger', '1h');
	const ifHeard = (body: string, path = '/room') => post(server.port, path, body, { 'If-Match': '*' });
	for (const body of ['x', '']) assert.equal((await ifHeard(body)).status, 412);
	const subscriber = await subscribe(t, server.ws('/room'));
	assert.deepEqual(heardBy(await ifHeard('heard')), [200, '1', '1']);
	assert.equal(await subscriber.nextText(), 'heard');
	await subscriber.close();
	await metricBecomes(server, 'pathcast_connections', 0);
	assert.equal(await metric(server, 'pathcast_relay_channels'), 1, 'the channel lingers');
	for (const body of ['x', '']) assert.equal((await ifHeard(body)).status, 412);
	assert.deepEqual(heardBy(await post(server.port, '/room', 'x')), [200, '1', '0']);
});

test('an empty body is counted and published nowhere', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [a, b] = await startSharing(t, redis, 2);
	const subscriber = await subscribe(t, a.ws('/room'));
	assert.deepEqual(heardBy(await post(b.port, '/room', '')), [200, '1', undefined]);
	await post(b.port, '/room', 'sentinel');
	assert.equal(await subscriber.nextText(), 'sentinel');
	assert.equal(await metric(b, 'pathcast_relay_messages_total{direction="out"}'), 1);
	assert.equal(await metric(a, 'pathcast_relay_messages_total{direction="in"}'), 1);
});

protocol(
	'If the answer of the relay is lost, a POST is refused with 502, and the line says that the message may have been published; a websocket that published is closed with 1012 and a reason.',
	async (t) => {
		const redis = await startRedis(t);
		const [server] = await startSharing(t, redis, 1, '--relay-timeout', '60s');
		const subscriber = await subscribe(t, server.ws('/websocket'));
		await freeze(redis);
		const answer = post(server.port, '/post', 'hello');
		subscriber.send('hello');
		await metricBecomes(server, waiting, 2 * (5 + overhead));
		await redis.kill();
		const { status, body } = await answer;
		assert.deepEqual([status, body], [502, 'The answer of the relay was lost: the message may have been published, or not.\n']);
		const { code, reason } = await subscriber.closed;
		assert.equal(code, 1012);
		assert.match(reason, /^the relay was lost, .*; connect again$/);
		assert.equal(await metric(server, waiting), 0);
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="relay"}'), 1);
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="relay"}'), 1);
	},
	needsRedis,
);

test('a POST is refused with 503 and Retry-After while the relay is away, and publishes nothing', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [server] = await startSharing(t, redis, 1);
	await redis.kill();
	await readinessBecomes(server, 503);
	for (const [port, path] of [
		[server.port, '/room'],
		[server.operatorPort, '/channels/room'],
	] as const) {
		const { status, headers, body } = await post(port, path, 'x');
		assert.deepEqual([status, headers.get('retry-after')], [503, '5']);
		assert.match(body, /^The relay of this server cannot be reached: nothing was done/);
	}
	assert.equal(await metric(server, 'pathcast_relay_messages_total{direction="out"}'), 0);
});

protocol(
	'If more than `--max-backlog` of one channel waits for the relay, a POST to it is refused with 503, and a websocket that publishes on it is closed with 1008, after what it has published before; other channels go on.',
	async (t) => {
		const { redis, server } = await startNarrow(t);
		const subscriber = await subscribe(t, server.ws('/websocket'));
		const goOn = await freeze(redis);
		const text = 'x'.repeat(1_000);
		const first = post(server.port, '/post', text);
		await metricBecomes(server, waiting, 1_000 + overhead);
		const { status, headers, body } = await post(server.port, '/post', text);
		assert.deepEqual([status, headers.get('retry-after')], [503, '1']);
		assert.match(body, /^Too much waits for the relay of this server: nothing was done/);
		const other = post(server.port, '/other', text);
		subscriber.send('first');
		subscriber.send(text);
		subscriber.send(text);
		subscriber.send('this is not published');
		await metricBecomes(server, waiting, 3 * (1_000 + overhead) + 5 + overhead);
		goOn();
		assert.deepEqual([(await first).status, (await other).status], [200, 200]);
		assert.deepEqual(await subscriber.textsUntilClosed(1008), ['first', text]);
		assert.match((await subscriber.closed).reason, /^too many messages wait for the relay: /);
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="flood"}'), 1);
	},
	needsRedis,
);

protocol(
	'A websocket whose message the relay refuses is closed with 1012 and a reason.',
	async (t) => {
		const { redis, server } = await startNarrow(t);
		const subscriber = await subscribe(t, server.ws('/room'));
		await redis.run('CONFIG', 'SET', 'min-replicas-to-write', '1');
		assert.equal((await post(server.port, '/post', 'x')).status, 503);
		subscriber.send('not published');
		assert.deepEqual(await subscriber.closed, {
			code: 1012,
			reason: 'the relay was lost, and this message may not be published; connect again',
		});
		const line = server.log.find(({ event, path }) => event === 'relay' && path === '/post');
		assert.match(String(line?.reason), /^NOREPLICAS /);
	},
	needsRedis,
);

test('a binary message stays binary on the way to another server', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [a, b] = await startSharing(t, redis, 2, '--binary');
	const [alice, bob] = [await subscribe(t, a.ws('/room')), await subscribe(t, b.ws('/room'))];
	const bytes = Buffer.from([0, 0xff, 0x02]);
	alice.send(bytes);
	await post(b.port, '/room', bytes, { 'Content-Type': 'application/octet-stream' });
	await post(b.port, '/room', 'text');
	for (const subscriber of [alice, bob]) {
		for (let i = 0; i < 2; i++) assert.deepEqual(await subscriber.next(), { data: bytes, isBinary: true });
		assert.equal(await subscriber.nextText(), 'text');
	}
});

test("with --post admin, only the operator's listener publishes, on all servers", needsRedis, async (t) => {
	const redis = await startRedis(t);
	const [a, b] = await startSharing(t, redis, 2, '--post', 'admin');
	const subscriber = await subscribe(t, a.ws('/room'));
	assert.equal((await post(b.port, '/room', 'refused')).status, 405);
	assert.deepEqual(heardBy(await post(b.operatorPort, '/channels/room', 'from the operator')), [200, '1', undefined]);
	assert.equal(await subscriber.nextText(), 'from the operator');
});

test('what the publish hook gives goes to the other servers, and a refusal comes after it', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const verdicts: Record<string, Script> = {
		replace: answering(200, [], 'replaced'),
		drop: answering(304),
		refuse: answering(403),
	};
	const hook = await startService(t, (question) => {
		void question.text().then((text) => (verdicts[text] ?? answering(204))(question));
	});
	const [a, b] = await startSharing(t, redis, 2, '--publish-hook', hook.url, '--relay-linger', '1h');
	const [alice, bob] = [await subscribe(t, a.ws('/room')), await subscribe(t, b.ws('/room'))];
	for (const text of ['as it is', 'drop', 'replace', 'refuse']) alice.send(text);
	assert.deepEqual(await alice.textsUntilClosed(1008), ['as it is', 'replaced']);
	assert.deepEqual(await bob.texts(2), ['as it is', 'replaced']);
	assert.deepEqual(heardBy(await post(a.port, '/room', 'drop')), [200, '2', undefined]);
	assert.equal((await post(a.port, '/room', 'refuse')).status, 403);
	await post(a.port, '/room', 'replace');
	assert.equal(await bob.nextText(), 'replaced');
});

test('the relay has the channels that the authorisation service gives', needsRedis, async (t) => {
	const redis = await startRedis(t);
	const auth = await startService(
		t,
		byPath({ '/rewritten': answering(204, [['X-Rewrite', '/room']]), '/away': answering(204, [['X-Publish', '/room']]) }),
	);
	const [a, b] = await startSharing(t, redis, 2, '--auth', auth.url);
	const [alice, bob] = [await subscribe(t, a.ws('/rewritten')), await subscribe(t, b.ws('/room'))];
	const carol = await subscribe(t, b.ws('/away'));
	await subscriptionsBecome(redis, '/rewritten', 0);
	alice.send('to the channel of the service');
	carol.send('to another channel');
	await Promise.all(
		[alice, bob].map(async (subscriber) => {
			assert.deepEqual((await subscriber.texts(2)).sort(), ['to another channel', 'to the channel of the service']);
		}),
	);
	assert.deepEqual(heardBy(await post(a.port, '/rewritten', 'x')), [200, '2', undefined]);
	assert.deepEqual(heardBy(await post(a.port, '/away', 'y')), [200, '2', undefined]);
	await post(a.port, '/room', 'sentinel');
	for (const subscriber of [alice, bob]) assert.deepEqual(await subscriber.texts(3), ['x', 'y', 'sentinel']);
});
