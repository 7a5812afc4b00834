// Websockets, event streams and POSTs through a network that delays, dribbles, stalls and resets, in the clear and over TLS.
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { describe, type TestContext } from 'node:test';
import { openStream, openStreamOverTls } from '../../support/event-stream.js';
import { numbered, sendUntilLagging } from '../../support/gapless.js';
import { post } from '../../support/http.js';
import { seededRandom } from '../../support/random.js';
import { type Subscriber, subscribe } from '../../support/subscriber.js';
import { startRelay, type TcpRelay } from '../support/tcp-relay.js';
import { inForm } from '../support/torture.js';
import type { BuiltServer } from './support/built-server.js';
import { disconnected, netFault } from './support/net-fault.js';

type Client = {
	texts(count: number): Promise<string[]>;
	/** All messages until the connection ends. */
	rest(): Promise<string[]>;
};

const trusting = { rejectUnauthorized: false };

/** A websocket and an event stream on a port. */
async function openBoth(t: TestContext, port: number, isTls: boolean, path: string): Promise<Client[]> {
	const subscriber = await subscribe(t, `${isTls ? 'wss' : 'ws'}://127.0.0.1:${port}${path}`, trusting);
	const stream = isTls
		? await openStreamOverTls(t, { ...trusting, host: '127.0.0.1', port }, path)
		: await openStream(t, { port }, path);
	return [
		{ texts: (count) => subscriber.texts(count), rest: () => subscriber.textsUntilClosed(1006) },
		{ texts: (count) => stream.texts(count), rest: () => stream.textsUntilClosed() },
	];
}

/** Publishes by POST, over TLS if need be, and gives the status. */
function postThrough(port: number, isTls: boolean, path: string, body: string): Promise<number> {
	return new Promise((resolve, reject) => {
		const send = isTls ? httpsRequest : httpRequest;
		const options = { ...trusting, host: '127.0.0.1', port, path, method: 'POST', agent: false };
		const request = send(options, (response) => response.resume().on('end', () => resolve(response.statusCode ?? 0)));
		request.on('error', reject);
		request.end(body);
	});
}

function witnessOf(t: TestContext, server: BuiltServer, isTls: boolean): Promise<Subscriber> {
	return subscribe(t, `${isTls ? 'wss' : 'ws'}://127.0.0.1:${server.port}/room`, trusting);
}

/** Ends what is left: the row waits for the descriptors of before. */
async function finish(relay: TcpRelay, witness: Subscriber): Promise<void> {
	relay.reset();
	await witness.close();
}

// They wait for delays and time-outs: two at once. More would keep the processor from passing a handshake on in time.
describe('a bad network', { concurrency: 2 }, () => {
	for (const isTls of [false, true]) {
		const over = isTls ? 'over TLS' : 'in the clear';

		const slowed = async (
			t: TestContext,
			server: BuiltServer,
			fault: { delayMsMax?: number; pieceBytesMax?: number },
			messages: number,
		) => {
			const relay = await startRelay(t, { port: server.port, host: '127.0.0.1' });
			Object.assign(relay.toServer, fault);
			Object.assign(relay.toClient, fault);
			const witness = await witnessOf(t, server, isTls);
			const clients = await openBoth(t, relay.port, isTls, '/room');
			const sizes = seededRandom(t);
			const texts = Array.from({ length: messages }, (_, i) => numbered(i, 1 + sizes.below(600)).trimEnd());
			for (const text of texts) witness.send(text);
			assert.deepEqual(await witness.texts(messages), texts);
			for (const client of clients) assert.deepEqual(await client.texts(messages), texts);
			const posts = inForm(2, 20);
			for (let i = 0; i < posts; i++) {
				assert.equal(await postThrough(relay.port, isTls, '/room', `post ${i}`), 200);
				assert.equal(await witness.nextText(), `post ${i}`);
				for (const client of clients) assert.deepEqual(await client.texts(1), [`post ${i}`]);
			}
			const bytes = relay.toServer.passedBytes + relay.toClient.passedBytes;
			await finish(relay, witness);
			return `A websocket and an event stream got ${messages + posts} messages each, none missing or out of order; ${posts} POSTs got 200; ${bytes} bytes passed.`;
		};

		netFault(
			{
				thrown: `A network that delays each piece by up to 50 ms, ${over}`,
				promised: 'A subscriber gets every message, in order.',
				isTls,
			},
			(t, server) => slowed(t, server, { delayMsMax: 50 }, inForm(30, 200)),
		);

		netFault(
			{
				thrown: `A network that passes one byte at a time, ${over}`,
				promised: 'A subscriber gets every message, in order.',
				isTls,
			},
			(t, server) => slowed(t, server, { pieceBytesMax: 1 }, inForm(8, 100)),
		);

		const stalled = async (t: TestContext, server: BuiltServer, meanwhile: (relay: TcpRelay) => Promise<void>) => {
			const relay = await startRelay(t, { port: server.port, host: '127.0.0.1' });
			const witness = await witnessOf(t, server, isTls);
			const clients = await openBoth(t, relay.port, isTls, '/room');
			relay.toClient.stall();
			const sent = await sendUntilLagging([witness], clients.length, server.operatorPort);
			await meanwhile(relay);
			return { relay, witness, clients, sent };
		};

		netFault(
			{
				thrown: `A network that stalls for longer than \`--write-timeout\`, ${over}`,
				promised: 'A subscriber whose backlog has not shrunk for `--write-timeout` is disconnected, without a gap before.',
				flags: ['--write-timeout', '1s', '--max-backlog', '64MiB'],
				isTls,
			},
			async (t, server) => {
				const { relay, witness, clients, sent } = await stalled(t, server, () => disconnected(server, 'slow', 2));
				relay.toClient.resume();
				const counts: number[] = [];
				for (const texts of await Promise.all(clients.map((client) => client.rest()))) {
					assert.ok(texts.length < sent);
					for (const [i, text] of texts.entries()) assert.equal(text.split(' ', 1)[0], String(i));
					counts.push(texts.length);
				}
				await finish(relay, witness);
				return `A websocket and an event stream were disconnected as slow; of ${sent} messages they got the first ${counts.join(' and ')}.`;
			},
		);

		netFault(
			{
				thrown: `A network that stalls until subscribers lag, and then goes on, ${over}`,
				promised: 'A subscriber that reads on in time gets every message, in order.',
				flags: ['--max-backlog', '64MiB'],
				isTls,
			},
			async (t, server) => {
				const { relay, witness, clients, sent } = await stalled(t, server, async (relay) => relay.toClient.resume());
				witness.send('end');
				assert.equal(await witness.nextText(), 'end');
				for (const texts of await Promise.all(clients.map((client) => client.texts(sent + 1)))) {
					assert.equal(texts.pop(), 'end');
					for (const [i, text] of texts.entries()) assert.equal(text.split(' ', 1)[0], String(i));
				}
				assert.equal(await server.metric('pathcast_disconnects_total{reason="slow"}'), 0);
				await finish(relay, witness);
				return `A websocket and an event stream lagged, and got all ${sent + 1} messages.`;
			},
		);

		netFault(
			{
				thrown: `A network that resets subscribers, again and again, after 8 to 108 KB, ${over}`,
				promised: 'A subscriber gets every message that is published after it has joined, until its connection ends.',
				isTls,
			},
			async (t, server) => {
				const random = seededRandom(t);
				const relay = await startRelay(t, { port: server.port, host: '127.0.0.1' });
				const witness = await witnessOf(t, server, isTls);
				const before = await server.metric('pathcast_subscribers');
				const rounds = inForm(6, 100);
				let published = 0;
				let received = 0;
				for (let round = 0; round < rounds; round++) {
					relay.toClient.resetAfterBytes = Number.POSITIVE_INFINITY;
					const clients = await openBoth(t, relay.port, isTls, '/room');
					const first = published;
					const rests = clients.map((client) => client.rest());
					// More than a handshake, with that of TLS, has taken.
					relay.toClient.resetAfterBytes = 8_192 + random.below(100_000);
					while ((await server.metric('pathcast_subscribers')) > before) {
						for (let i = 0; i < 8; i++) {
							assert.equal((await post200(server, isTls, published)).status, 200);
							assert.equal((await witness.nextText()).split(' ', 1)[0], String(published++));
						}
					}
					for (const texts of await Promise.all(rests)) {
						for (const [i, text] of texts.entries()) assert.equal(text.split(' ', 1)[0], String(first + i));
						received += texts.length;
					}
				}
				await finish(relay, witness);
				assert.ok(received > rounds);
				return `${2 * rounds} connections, ${published} messages: each connection got those from its first to its last without a gap, ${received} in all.`;
			},
		);
	}
});

async function post200(server: BuiltServer, isTls: boolean, i: number): Promise<{ status: number }> {
	const text = numbered(i, 2_000);
	return isTls ? { status: await postThrough(server.port, true, '/room', text) } : post(server.port, '/room', text);
}
