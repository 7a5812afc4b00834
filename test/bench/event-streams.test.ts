// The benchmark's checker over event streams, against a server that meddles with what it delivers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Dechunker } from '#bench/load/chunks.js';
import { runIdle } from '#bench/load/connections.js';
import type { Job, Measurement, Traffic } from '#bench/load/job.js';
import { burstBy, changingOne, type Meddling, measure } from './support/traffic.js';

type Meddle = Meddling<string, string>;

const eventOf = (message: string) => `data: ${message}\n\n`;
const honest: Meddle = (message) => [eventOf(message)];
const once30 = (meddle: (message: string) => string[]) => changingOne(meddle, honest);
const burst = burstBy('pipelined-post');

async function startMeddler(t: TestContext, meddle: Meddle, type = 'text/event-stream'): Promise<Job['target']> {
	const streams: ServerResponse[] = [];
	let count = 0;
	const server = createServer((req, res) => {
		if (req.method === 'GET') {
			res.writeHead(200, { 'Content-Type': type }).write(': hello\n\n');
			streams.push(res);
			return;
		}
		let message = '';
		req.on('data', (chunk) => {
			message += chunk;
		});
		req.on('end', () => {
			const nth = count++;
			for (const [index, stream] of streams.entries()) for (const piece of meddle(message, index, nth)) stream.write(piece);
			res.end('OK\n');
		});
	});
	await once(server.listen(0, '127.0.0.1'), 'listening');
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	return { host: '127.0.0.1', port, isTls: false, dialect: 'event-stream', pathPrefix: '', pids: [] };
}

async function judge(t: TestContext, meddle: Meddle, work: Traffic = burst): Promise<Measurement> {
	return measure(await startMeddler(t, meddle), work);
}

test('an honest server of event streams passes, in bursts and one message at a time, and every event is counted', async (t) => {
	let events = 0;
	const counted: Meddle = (message) => {
		events++;
		return [eventOf(message)];
	};
	const { amount } = await judge(t, counted);
	assert.ok(amount >= burst.window && amount <= events, `${amount} of ${events}`);
	assert.ok((await judge(t, honest, { ...burst, window: 1 })).amount > 0);
});

test('comments, ids and empty lines between events are no deliveries, wherever a chunk ends', async (t) => {
	const wordy: Meddle = (message, _stream, nth) => [`: comment\n\nid: ${nth}:0\n${eventOf(message)}\nretry: 1\n\n`];
	assert.ok((await judge(t, wordy)).amount > 0);
	const torn: Meddle = (message, stream, nth) => wordy(message, stream, nth)[0]?.match(/.{1,7}/gs) ?? [];
	assert.ok((await judge(t, torn)).amount > 0);
});

test('an event that is lost, doubled or changed on the way to one stream, or to all, fails the run', async (t) => {
	const meddlings: [(message: string) => string[], RegExp][] = [
		[() => [], /lost|out of order/],
		[(message) => [eventOf(message), eventOf(message)], /doubled|out of order/],
		[(message) => [eventOf(message.replace('pathcast', 'pathcost'))], /corrupt/],
		[(message) => [`data: ${message}\n`], /corrupt/],
	];
	for (const [meddle, expected] of meddlings) {
		await assert.rejects(judge(t, once30(meddle)), expected);
		await assert.rejects(
			judge(t, (message, _stream, nth) => (nth === 30 ? meddle(message) : [eventOf(message)])),
			expected,
		);
	}
});

test('two events that change places for one stream fail the run', async (t) => {
	let held = '';
	const swap: Meddle = (message, stream, nth) => {
		if (stream !== 1 || (nth !== 30 && nth !== 31)) return [eventOf(message)];
		if (nth === 31) return [eventOf(message), eventOf(held)];
		held = message;
		return [];
	};
	await assert.rejects(judge(t, swap), /out of order/);
});

test('a stream that the server ends fails the run', async (t) => {
	const streams: ServerResponse[] = [];
	const server = createServer((req, res) => {
		if (req.method === 'GET') {
			res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
			streams.push(res);
		} else {
			// The connection stays open: only the body's last chunk tells of the end.
			for (const stream of streams) stream.end();
			req.resume().on('end', () => res.end('OK\n'));
		}
	});
	await once(server.listen(0, '127.0.0.1'), 'listening');
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	const { port } = server.address() as AddressInfo;
	const target = { ...(await startMeddler(t, honest)), port };
	await assert.rejects(measure(target, burst), /cut: the server ended the stream/);
});

test('an answer that is no event stream is a refusal', async (t) => {
	const target = await startMeddler(t, honest, 'text/html');
	await assert.rejects(measure(target, burst), /the handshake was answered with "HTTP\/1.1 200 OK"/);
});

test('idle event streams are opened and counted', async (t) => {
	const target = await startMeddler(t, honest);
	const idle = { kind: 'idle', base: 5, count: 10 } as const;
	const { amount } = await runIdle({ target, work: idle, warmUpMs: 0, measureMs: 0 }, idle, () => {});
	// Of a server whose processes are not known.
	assert.equal(amount, 0);
});

test('chunks are taken off wherever a read ends', () => {
	const wire = `1\r\na\r\n10\r\nbcdefghijklmnopq\r\n2\r\nrs\r\n0\r\n\r\n`;
	for (let size = 1; size <= wire.length; size++) {
		const chunks = new Dechunker();
		let data = '';
		let isOpen = true;
		for (let at = 0; at < wire.length && isOpen; at += size) {
			isOpen = chunks.read(Buffer.from(wire.slice(at, at + size)), (piece) => {
				data += piece.toString('latin1');
			});
		}
		assert.equal(data, 'abcdefghijklmnopqrs', `in reads of ${size}`);
		assert.equal(isOpen, false, `in reads of ${size}`);
	}
});

test('a chunk whose size is no number ends the stream', () => {
	assert.equal(
		new Dechunker().read(Buffer.from('x\r\n'), () => {}),
		false,
	);
});
