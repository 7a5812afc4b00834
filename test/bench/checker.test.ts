// The benchmark's checker, against a server that meddles with what it delivers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { runChurn, runConnects } from '#bench/load/connections.js';
import type { Job, Measurement, Traffic } from '#bench/load/job.js';
import { runTraffic } from '#bench/load/traffic.js';
import { burstBy, changingOne, type Meddling, measure } from './support/traffic.js';

type Meddle = Meddling<Buffer, Buffer>;

const honest: Meddle = (message) => [message];
const once30 = (meddle: (message: Buffer) => Buffer[]) => changingOne(meddle, honest);
const altered = (message: Buffer, at: number) => {
	const copy = Buffer.from(message);
	copy[at] = 0x21;
	return copy;
};

const burst = burstBy('websocket');

async function startMeddler(t: TestContext, meddle: Meddle, { pings = false, delayMs = 0 } = {}): Promise<Job['target']> {
	const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
	await once(server, 'listening');
	t.after(() => {
		for (const client of server.clients) client.terminate();
		server.close();
	});
	const counts = new Map<string, number>();
	const channels = new Map<string, Set<import('ws').WebSocket>>();
	server.on('connection', (client, { url = '' }) => {
		const clients = channels.get(url) ?? new Set();
		channels.set(url, clients.add(client));
		client.on('close', () => clients.delete(client));
		client.on('message', (message: Buffer) => {
			const nth = counts.get(url) ?? 0;
			counts.set(url, nth + 1);
			for (const [subscriber, other] of [...clients].entries()) {
				if (pings) other.ping('are you there');
				for (const piece of meddle(message, subscriber, nth)) {
					if (delayMs > 0) setTimeout(() => other.send(piece, { binary: false }), delayMs);
					else other.send(piece, { binary: false });
				}
			}
		});
	});
	const { port } = server.address() as AddressInfo;
	return { host: '127.0.0.1', port, isTls: false, dialect: 'websocket', pathPrefix: '', pids: [] };
}

async function judge(t: TestContext, meddle: Meddle, work: Traffic = burst, options = {}): Promise<Measurement> {
	return measure(await startMeddler(t, meddle, options), work);
}

test('an honest server passes, and every delivery is counted', async (t) => {
	let deliveries = 0;
	const measurement = await judge(t, (message) => {
		deliveries++;
		return [message];
	});
	assert.ok(measurement.amount >= burst.window && measurement.amount <= deliveries, `${measurement.amount} of ${deliveries}`);
	assert.ok((measurement.latency?.p50 ?? 0) > 0);
});

test('pings between deliveries are no deliveries', async (t) => {
	assert.ok((await judge(t, honest, burst, { pings: true })).amount > 0);
});

test('several publishers of a channel may come in any order, so long as it is the same for all', async (t) => {
	assert.ok((await judge(t, honest, { ...burst, publishersPerChannel: 3, publishersAtOnce: 3 })).amount > 0);
});

test('many channels are checked one by one', async (t) => {
	const work = { ...burst, channels: 5, subscribersPerChannel: 2, publishersAtOnce: 3 };
	assert.ok((await judge(t, honest, work)).amount > 0);
	await assert.rejects(
		judge(
			t,
			once30((message) => [message, message]),
			work,
		),
		/doubled|out of order/,
	);
});

test('a message lost on the way to one subscriber fails the run', async (t) => {
	await assert.rejects(
		judge(
			t,
			once30(() => []),
		),
		/lost|out of order/,
	);
});

test('a message lost on the way to everybody fails the run', async (t) => {
	await assert.rejects(
		judge(t, (message, _subscriber, nth) => (nth === 30 ? [] : [message])),
		/lost or out of order: message 31/,
	);
});

test('a last message that never comes fails the run', async (t) => {
	await assert.rejects(
		judge(t, (message, _subscriber, nth) => (nth >= 31 ? [] : [message])),
		/lost: 3 deliveries have not come/,
	);
});

test('a message doubled for one subscriber, or for everybody, fails the run', async (t) => {
	await assert.rejects(
		judge(
			t,
			once30((message) => [message, message]),
		),
		/doubled|out of order/,
	);
	await assert.rejects(
		judge(t, (message, _subscriber, nth) => (nth === 30 ? [message, message] : [message])),
		/doubled/,
	);
});

test('two messages that change places for one subscriber, or for everybody, fail the run', async (t) => {
	const held: (Buffer | undefined)[] = [];
	const swap: Meddle = (message, subscriber, nth) => {
		if (nth === 30) held[subscriber] = message;
		return nth === 30 ? [] : nth === 31 ? [message, held[subscriber] as Buffer] : [message];
	};
	await assert.rejects(
		judge(t, (message, subscriber, nth) => (subscriber === 1 ? swap(message, 1, nth) : [message])),
		/out of order/,
	);
	await assert.rejects(judge(t, swap), /out of order/);
});

test('messages of two publishers that one subscriber gets in another order fail the run', async (t) => {
	const held: Buffer[] = [];
	// Each publisher's own order is kept: only the order between the two is not.
	const work = { ...burst, publishersPerChannel: 2, publishersAtOnce: 2, window: 1 };
	const swap: Meddle = (message, subscriber) => {
		if (subscriber !== 2) return [message];
		held.push(message);
		return held.length === 2 ? held.splice(0).reverse() : [];
	};
	await assert.rejects(judge(t, swap, work), /differs from what another subscriber received/);
});

test('a message with one byte changed, anywhere in it, for one subscriber or for everybody, fails the run', async (t) => {
	// In the publisher, after it, in the number, after that, and in the text.
	for (const at of [0, 5, 8, 16, 40, 63]) {
		await assert.rejects(
			judge(
				t,
				once30((message) => [altered(message, at)]),
			),
			/corrupt/,
			`byte ${at}, one subscriber`,
		);
		const forAll: Meddle = (message, _subscriber, nth) => [nth === 30 ? altered(message, at) : message];
		await assert.rejects(judge(t, forAll), /corrupt/, `byte ${at}, everybody`);
	}
});

test('a message that nobody sent fails the run', async (t) => {
	const invented = (message: Buffer) => {
		const copy = Buffer.from(message);
		copy.write('0000999999', 6, 'latin1');
		return [message, copy];
	};
	await assert.rejects(
		judge(t, (message, _subscriber, nth) => (nth === 30 ? invented(message) : [message])),
		/was never sent/,
	);
});

test('a message that lands on another channel fails the run', async (t) => {
	const work = { ...burst, channels: 2, subscribersPerChannel: 1, publishersAtOnce: 2, window: 1 };
	const held: Buffer[] = [];
	// The channels change messages with one another, number by number.
	const swap: Meddle = (message) => {
		held.push(message);
		return held.length % 2 === 0 ? [held.at(-2) as Buffer] : [];
	};
	await assert.rejects(judge(t, swap, work), /does not publish to this channel|lost/);
});

test('latency counts from when a message was due, also while others are on their way', async (t) => {
	const target = await startMeddler(t, honest, { delayMs: 40 });
	const work = { ...burst, subscribersPerChannel: 1, window: 1, burstsPerSecond: 200 };
	const { latency } = await runTraffic({ target, work, warmUpMs: 100, measureMs: 300 }, work, () => {});
	assert.ok(latency && latency.p50 >= 39 && latency.p50 < 200, JSON.stringify(latency));
});

test('pings are answered', async (t) => {
	const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
	await once(server, 'listening');
	t.after(() => server.close());
	let pongs = 0;
	server.on('connection', (client) => {
		client.ping('well?');
		client.on('pong', (data) => {
			assert.equal(String(data), 'well?');
			pongs++;
		});
		client.on('message', (message) => client.send(message, { binary: false }));
	});
	const target = { ...(await startMeddler(t, honest)), port: (server.address() as AddressInfo).port };
	const work = { ...burst, subscribersPerChannel: 1 };
	await measure(target, work);
	assert.equal(pongs, 1);
});

test('a subscriber that is cut fails the run, with the reason that the server gives', async (t) => {
	const target = await startMeddler(t, honest);
	const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
	await once(server, 'listening');
	t.after(() => server.close());
	server.on('connection', (client) => client.on('message', () => client.close(1008, 'too slow')));
	const { port } = server.address() as AddressInfo;
	const job = { target: { ...target, port }, work: burst, warmUpMs: 20, measureMs: 50 };
	await assert.rejects(
		runTraffic(job, burst, () => {}),
		/cut: closed with 1008 too slow/,
	);
});

test('handshakes and visits are counted, and a visit that gets something else back fails', async (t) => {
	const target = await startMeddler(t, honest);
	const job = { target, warmUpMs: 10, measureMs: 30 };
	const connects = { kind: 'connects', count: 20, atOnce: 5 } as const;
	const churn = { kind: 'churn', atOnce: 3 } as const;
	const measured = await runConnects({ ...job, work: connects }, connects, () => {});
	assert.equal(measured.amount % 20, 0);
	assert.ok(measured.amount > 0);
	assert.ok((await runChurn({ ...job, work: churn }, churn, () => {})).amount > 0);
	const liar = { ...job, target: await startMeddler(t, () => [Buffer.from('olleh')]) };
	await assert.rejects(
		runChurn({ ...liar, work: churn }, churn, () => {}),
		/corrupt/,
	);
});
