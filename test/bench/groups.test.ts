// The benchmark's checker for several channels on one websocket, against a server that meddles with what it delivers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { WebSocketServer } from 'ws';
import { CanonicalLog, payloadTemplate, writeNumber } from '#bench/load/canonical-log.js';
import type { Connection } from '#bench/load/connection.js';
import { dialects } from '#bench/load/dialect.js';
import type { Job, Measurement, Traffic } from '#bench/load/job.js';
import { newStream, receiver } from '#bench/load/receiving.js';
import { burstBy, changingOne, type Meddling, measure } from './support/traffic.js';

type Delivery = { readonly path: string; readonly message: string };
type Meddle = Meddling<Delivery, Delivery>;

const honest: Meddle = (delivery) => [delivery];
const once30 = (meddle: (delivery: Delivery) => Delivery[]) => changingOne(meddle, honest);
const burst: Traffic = { ...burstBy('pipelined-post'), channels: 3, publishersAtOnce: 3 };

async function startMeddler(t: TestContext, meddle: Meddle, protocol = 'pathcast.groups.v1'): Promise<Job['target']> {
	let connections = 0;
	let count = 0;
	const server = createServer((req, res) => {
		const nth = count++;
		let message = '';
		req.on('data', (chunk) => {
			message += chunk;
		});
		req.on('end', () => {
			for (const [index, client] of [...websockets.clients].entries()) {
				for (const piece of meddle({ path: req.url ?? '', message }, index, nth))
					client.send(`channel: ${piece.path}\nfrom: post\n\n${piece.message}`);
			}
			res.end('OK\n');
		});
	});
	const websockets = new WebSocketServer({ server, handleProtocols: () => protocol });
	websockets.on('connection', (client) => {
		connections++;
		client.on('message', (frame) => {
			const paths = String(frame).replace('subscribe: ', '');
			client.send(`subscribed: ${paths}\njoined: ${paths}\nleft: \n\n`);
		});
	});
	await once(server.listen(0, '127.0.0.1'), 'listening');
	t.after(() => {
		assert.ok(connections <= burst.subscribersPerChannel, `${connections} websockets`);
		for (const client of websockets.clients) client.terminate();
		server.closeAllConnections();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	return { host: '127.0.0.1', port, isTls: false, dialect: 'groups', pathPrefix: '', pids: [] };
}

async function judge(t: TestContext, meddle: Meddle): Promise<Measurement> {
	return measure(await startMeddler(t, meddle), burst);
}

test('an honest server of groups passes, with one websocket for all channels of a subscriber, and every delivery is counted', async (t) => {
	let deliveries = 0;
	const { amount } = await judge(t, (delivery) => {
		deliveries++;
		return [delivery];
	});
	assert.ok(amount >= burst.window && amount <= deliveries, `${amount} of ${deliveries}`);
});

test('a message of one of several channels that is lost, doubled, changed or on another channel fails the run', async (t) => {
	const meddlings: [(delivery: Delivery) => Delivery[], RegExp][] = [
		[() => [], /lost|out of order/],
		[(delivery) => [delivery, delivery], /doubled|out of order/],
		[({ path, message }) => [{ path, message: message.replace('pathcast', 'pathcost') }], /corrupt/],
		[({ path, message }) => [{ path: path === '/bench/0' ? '/bench/1' : '/bench/0', message }], /publish to|out of order/],
		[({ message }) => [{ path: '/bench/7', message }], /corrupt/],
	];
	for (const [meddle, expected] of meddlings) {
		await assert.rejects(judge(t, once30(meddle)), expected);
		await assert.rejects(
			judge(t, (delivery, _subscriber, nth) => (nth === 30 ? meddle(delivery) : [delivery])),
			expected,
		);
	}
});

test('a server without the subprotocol is a refusal', async (t) => {
	const target = await startMeddler(t, honest, 'other');
	await assert.rejects(measure(target, burst), /the handshake was answered with "HTTP\/1.1 101/);
});

test('deliveries of several channels, and pings between them, are told apart wherever a read ends', () => {
	const paths = ['/bench/0', '/bench/1', '/bench/2'];
	const payloadBytes = 40;
	const ping = Buffer.from([0x89, 2, 0x81, 0x31]);
	const sent = [0, 0, 1, 2, 2, 2, 0, 1, 0].map((channel, index, all) => {
		const number = all.slice(0, index).filter((earlier) => earlier === channel).length;
		const payload = payloadTemplate(channel, payloadBytes);
		writeNumber(payload, 0, number);
		return Buffer.concat([dialects.groups.deliveryEnvelope(paths[channel] as string, payloadBytes).before, payload, ping]);
	});
	const wire = Buffer.concat(sent);
	for (let size = 1; size <= wire.length; size++) {
		let pongs = 0;
		const connection = { socket: { write: () => pongs++ } } as unknown as Connection;
		const numbers: number[][] = [[], [], []];
		const subscribers = paths.map((path, channel) => {
			const log = new CanonicalLog(
				{
					envelope: dialects.groups.deliveryEnvelope(path, payloadBytes),
					payloadBytes,
					sent: (publisher) => (publisher === channel ? 9 : undefined),
					onMessage: (_publisher, number) => numbers[channel]?.push(number),
					slowest: () => 0,
				},
				1_000,
			);
			return { connection, log, position: 0 };
		});
		const stream = newStream(subscribers);
		const receive = receiver({ dialect: dialects.groups, onAdvance() {}, fail: assert.fail });
		for (let at = 0; at < wire.length; at += size) receive(stream, wire.subarray(at, at + size));
		assert.deepEqual(
			numbers,
			[
				[0, 1, 2, 3],
				[0, 1],
				[0, 1, 2],
			],
			`reads of ${size} bytes`,
		);
		assert.equal(pongs, sent.length, `reads of ${size} bytes`);
	}
});
