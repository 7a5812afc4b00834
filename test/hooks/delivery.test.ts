import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Retrying, threeRetries } from '#src/hooks/delivery.js';
import { DeliveryQueue, queuedMax } from '#src/hooks/delivery-queue.js';
import { connectService } from '#src/hooks/service.js';
import { post, RawConnection } from '../support/http.js';
import { deadUrl, type Receiver, startReceiver } from '../support/receiver.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe, subscribeMany } from '../support/subscriber.js';

const soon: Retrying = { timeoutMs: 5_000, waitsMs: [1, 2, 4] };

/** A queue of texts, one request at a time, as webhooks have it; and what became of them. */
async function queueOf(t: TestContext, url: string, batchMs: number, retrying = soon) {
	const service = await connectService(new URL(url), 1);
	t.after(() => service.close());
	const outcomes: (string | number | undefined)[][] = [];
	const queue = new DeliveryQueue<string>({
		service,
		atOnceMax: 1,
		batchItemsMax: 100,
		batchMs,
		delivery: (texts) => ({ headers: ['X-Count', String(texts.length)], body: JSON.stringify(texts) }),
		onOutcome: (...outcome) => outcomes.push(outcome),
		retrying,
	});
	return { queue, outcomes };
}

const bodiesOf = (receiver: Receiver) => receiver.requests.map(({ body }) => JSON.parse(body) as string[]);
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => String(from + i));

test('events of many batches arrive in order, at most 100 in a request and one request at once', async (t) => {
	const receiver = await startReceiver(t);
	let accept = (_: number) => {};
	receiver.answers.push(
		new Promise((resolve) => {
			accept = resolve;
		}),
	);
	const server = await startTestServer(t, '--webhook', receiver.url, '--webhook-events', 'connect');
	await subscribeMany(t, 550, (nth) => server.ws(`/room/${nth % 7}`));
	// The first request is still out, and all events of the other connections wait for it.
	await receiver.received(1);
	assert.equal(await metric(server, 'pathcast_callbacks_queued'), 550);
	accept(204);
	const conns = (await receiver.next(550)).map(({ conn }) => conn);
	assert.deepEqual(
		conns,
		Array.from({ length: 550 }, (_, i) => i + 1),
	);
	const counts = receiver.requests.map(({ body }) => JSON.parse(body).length);
	assert.ok(Math.max(...counts) <= 100, `${counts}`);
	assert.ok(counts.length < 100, `${counts}`);
	assert.equal(receiver.atOnceMax, 1);
	assert.equal(await metric(server, 'pathcast_webhook_events_total{outcome="sent"}'), 550);
});

test('the hundredth event sends a batch at once, and less waits for its time', async (t) => {
	const receiver = await startReceiver(t);
	const { queue } = await queueOf(t, receiver.url, 3_600_000);
	for (const text of numbers(100)) queue.push(text);
	await receiver.received(1);
	queue.push('waits');
	await queue.finish(5_000);
	assert.deepEqual(bodiesOf(receiver), [numbers(100), ['waits']]);

	const { queue: brief } = await queueOf(t, receiver.url, 50);
	const fromMs = performance.now();
	for (const text of numbers(99)) brief.push(text);
	const [, , third] = await receiver.received(3);
	assert.ok(Number(third?.arrivedMs) - fromMs >= 45);
});

test('a batch that fails is sent again as it is, before what comes after it, until any 2xx', async (t) => {
	const receiver = await startReceiver(t);
	// The connection that is cut is tried again at once.
	receiver.answers.push(500, 'cut', 302, 404, 299, 200);
	const { queue, outcomes } = await queueOf(t, receiver.url, 0);
	queue.push('first');
	await receiver.received(1);
	queue.push('second');
	await receiver.received(6);
	await queue.finish(5_000);
	assert.deepEqual(bodiesOf(receiver), [...Array.from({ length: 5 }, () => ['first']), ['second']]);
	assert.deepEqual(outcomes, [
		['sent', 1, undefined],
		['sent', 1, undefined],
	]);
});

test('a batch is dropped after three retries, and the next one is sent', async (t) => {
	const receiver = await startReceiver(t);
	receiver.answers.push(500, 501, 502, 503);
	const { queue, outcomes } = await queueOf(t, receiver.url, 0);
	for (const text of numbers(3)) queue.push(text);
	await receiver.received(1);
	queue.push('next');
	await receiver.received(5);
	await queue.finish(5_000);
	assert.deepEqual(bodiesOf(receiver).slice(3), [numbers(3), ['next']]);
	assert.deepEqual(outcomes, [
		['dropped', 3, 'the answer was 503'],
		['sent', 1, undefined],
	]);
});

test('the retries wait for half a second, one and two, give or take a quarter, and what is dropped is counted and logged', async (t) => {
	const receiver = await startReceiver(t);
	receiver.otherwise = 503;
	const server = await startTestServer(t, '--webhook', receiver.url, '--webhook-events', 'connect');
	await subscribe(t, server.ws('/room'));
	const requests = await receiver.received(4);
	for (const [nth, waitMs] of threeRetries.waitsMs.entries()) {
		const waitedMs = Number(requests[nth + 1]?.arrivedMs) - Number(requests[nth]?.arrivedMs);
		assert.ok(waitedMs > waitMs * 0.7 && waitedMs < waitMs * 1.25 + 1_000, `${waitedMs} of ${waitMs}`);
	}
	while ((await metric(server, 'pathcast_callbacks_queued')) > 0);
	assert.equal(await metric(server, 'pathcast_webhook_events_total{outcome="dropped"}'), 1);
	assert.equal(await metric(server, 'pathcast_webhook_events_total{outcome="sent"}'), 0);
	const [line] = server.log.filter(({ event }) => event === 'hook');
	assert.deepEqual([line?.level, line?.reason, line?.count], [40, 'dropped', 1]);
	assert.equal(line?.detail, `${new URL(receiver.url).host}: the answer was 503`);
});

test('a receiver that does not answer has five seconds for each attempt', async (t) => {
	assert.equal(threeRetries.timeoutMs, 5_000);
	const receiver = await startReceiver(t);
	receiver.answers.push('hang', 'hang');
	const { queue, outcomes } = await queueOf(t, receiver.url, 0, { timeoutMs: 50, waitsMs: [1] });
	queue.push('lost');
	await receiver.received(2);
	queue.push('next');
	await receiver.received(3);
	await queue.finish(5_000);
	assert.deepEqual(outcomes, [
		['dropped', 1, 'no whole answer in time'],
		['sent', 1, undefined],
	]);
});

test('a full queue drops the newest events, and counts them', async (t) => {
	const receiver = await startReceiver(t);
	const { queue, outcomes } = await queueOf(t, receiver.url, 0);
	for (const text of numbers(queuedMax + 2)) queue.push(text);
	assert.equal(queue.queued, queuedMax);
	assert.deepEqual(outcomes.splice(0), [
		['dropped', 1, 'the queue is full'],
		['dropped', 1, 'the queue is full'],
	]);
	await queue.finish(60_000);
	assert.deepEqual(bodiesOf(receiver).flat(), numbers(queuedMax));
	assert.equal(
		outcomes.reduce((sum, [outcome, count]) => sum + (outcome === 'sent' ? Number(count) : Number.NaN), 0),
		queuedMax,
	);
	queue.push('room again');
	await queue.finish(5_000);
	assert.deepEqual(bodiesOf(receiver).at(-1), ['room again']);
});

test('the end of the patience ends a request and a wait for a retry, and drops everything', async (t) => {
	const receiver = await startReceiver(t);
	for (const answer of ['hang', 500] as const) {
		receiver.otherwise = answer;
		const { queue, outcomes } = await queueOf(t, receiver.url, 0, threeRetries);
		for (const text of numbers(250)) queue.push(text);
		const requests = receiver.requests.length;
		await receiver.received(requests + 1);
		await queue.finish(20);
		assert.equal(queue.queued, 0);
		assert.deepEqual(outcomes, [['dropped', 250, 'the server stopped before they were accepted']]);
		assert.equal(receiver.requests.length, requests + 1, String(answer));
	}
});

test('what peers leave open at a stop is dropped after a second, however long a receiver takes', async (t) => {
	const receiver = await startReceiver(t);
	receiver.otherwise = 'hang';
	const server = await startTestServer(t, '--webhook', receiver.url, '--drain', '60s');
	const subscriber = await subscribe(t, server.ws('/room'));
	await receiver.received(1);
	const idle = new RawConnection(server.port);
	await idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
	await idle.answer();
	const fromMs = performance.now();
	const stopped = server.stop();
	assert.equal((await subscriber.closed).code, 1012);
	await idle.closed;
	assert.ok(performance.now() - fromMs < 5_000);
	receiver.otherwise = 204;
	receiver.server.closeAllConnections();
	await stopped;
});

test('a dead receiver delays neither clients nor, for more than a second beyond --drain, the stop', async (t) => {
	const receiver = await startReceiver(t);
	receiver.otherwise = 'hang';
	for (const url of [receiver.url, await deadUrl()]) {
		const server = await startTestServer(t, '--webhook', url);
		const subscribers = await subscribeMany(t, 150, () => server.ws('/room'));
		if (url === receiver.url) await receiver.received(1);
		for (let i = 0; i < 20; i++) {
			await post(server.port, '/room', String(i));
			for (const subscriber of subscribers) assert.equal(await subscriber.nextText(), String(i));
		}
		assert.equal(await metric(server, 'pathcast_callbacks_queued'), 151);
		const fromMs = performance.now();
		await server.stop();
		const stopMs = performance.now() - fromMs;
		for (const { closed } of subscribers) assert.equal((await closed).code, 1012);
		assert.ok(stopMs > 950 && stopMs < 3_000, `${stopMs} ms`);
		const [line] = server.log.filter(({ event }) => event === 'hook');
		assert.equal(line?.count, 302);
	}
});
