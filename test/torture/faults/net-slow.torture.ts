// Clients that take their time: they say nothing, dribble, stop, or vanish. The rows wait for time-outs, so all run at once.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { describe } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { becomes } from '../../relay/support/becomes.js';
import { numbered } from '../../support/gapless.js';
import { thisEngine, timeoutSeconds } from '../../support/malformed.js';
import { inOwnNetwork, needsOwnNetwork } from '../../support/own-network.js';
import { needs } from '../../support/requirement.js';
import { subscribe } from '../../support/subscriber.js';
import { startRelay } from '../support/tcp-relay.js';
import { inForm } from '../support/torture.js';
import { fault } from './support/fault.js';
import { dribble, slowHttpTest } from './support/net-dribble.js';
import { disconnected, netFault, openSockets } from './support/net-fault.js';

const closesInTime = `A connection whose request is not complete is closed after ${timeoutSeconds.newer} seconds (20.30: ${timeoutSeconds.older}).`;

/** Asserts that connections were closed by the engine's time-out, which a busy machine notices late. Gives whole seconds. */
function inTime(seconds: number): number {
	assert.ok(seconds < 2 * timeoutSeconds[thisEngine] + 30, `${seconds} s`);
	return Math.round(seconds);
}

/** A ClientHello of Node has some 500 bytes, so that all have passed when there are more than 200 for each. */
const helloBytesMin = 200;

describe('slow clients', { concurrency: true }, () => {
	netFault(
		{
			thrown: 'Thousands of connections that say nothing',
			promised: 'Idle connections are closed in time, and others are served.',
		},
		async (t, server) => {
			const count = inForm(2_000, 8_000);
			const sockets = await openSockets(t, count, { port: server.port });
			const startMs = performance.now();
			await Promise.all(sockets.map((socket) => (socket.resume().closed ? undefined : once(socket, 'close'))));
			return `${count} connections, the last of which was closed after ${inTime((performance.now() - startMs) / 1_000)} s.`;
		},
	);

	netFault({ thrown: 'Hundreds of clients that send a head byte by byte', promised: closesInTime }, async (t, server) => {
		const count = inForm(200, 1_000);
		const seconds = await dribble(t, server, count, 'GET /room HTTP/1.1\r\nHost: x\r\nX: ', 'x');
		return `${count} connections, all closed within ${inTime(seconds)} s.`;
	});

	netFault({ thrown: 'Hundreds of clients that send a body byte by byte', promised: closesInTime }, async (t, server) => {
		const count = inForm(200, 1_000);
		const head = 'POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n';
		const seconds = await dribble(t, server, count, head, 'x');
		return `${count} connections, all closed within ${inTime(seconds)} s.`;
	});

	netFault(
		{
			thrown: 'TLS handshakes that stall half-way, hundreds at once',
			promised: 'Connections whose request is not complete are closed in time, and others are served.',
			isTls: true,
		},
		async (t, server) => {
			const relay = await startRelay(t, { port: server.port, host: '127.0.0.1' });
			relay.toClient.stall();
			const before = server.openFiles();
			const sockets = await openSockets(t, inForm(200, 1_000), { port: relay.port });
			for (const socket of sockets) connectTls({ socket, rejectUnauthorized: false }).on('error', () => {});
			await becomes(() => relay.toServer.passedBytes > sockets.length * helloBytesMin);
			const startMs = performance.now();
			await becomes(() => server.openFiles() <= before);
			return `${sockets.length} handshakes; all of them were closed, the last after ${inTime((performance.now() - startMs) / 1_000)} s.`;
		},
	);

	for (const [kind, what] of [
		['-H', 'slow heads'],
		['-B', 'slow bodies'],
		['-R', 'overlapping ranges'],
		['-X', 'slow readers'],
	] as const) {
		netFault(
			{
				thrown: `\`slowhttptest ${kind}\`: ${what}`,
				promised: 'A normal client is served, and everything is free afterwards.',
				skip: needs('slowhttptest', '/usr/bin/slowhttptest').skip,
			},
			(t, server) => slowHttpTest(t, server, kind),
		);
	}

	netFault(
		{
			thrown: 'Hundreds of subscribers of a busy channel whose process is stopped (SIGSTOP)',
			promised:
				'They are disconnected when they lag more than `--max-backlog` behind, or read nothing for `--write-timeout`, and miss nothing before.',
			flags: ['--max-backlog', '1MiB', '--write-timeout', '5s'],
		},
		async (t, server) => {
			const count = inForm(100, 200);
			const witness = await subscribe(t, server.ws('/room'));
			const file = fileURLToPath(new URL('support/net-readers.js', import.meta.url));
			const readers = fork(file, [server.ws('/room'), String(count)]);
			t.after(() => readers.kill('SIGKILL'));
			await once(readers, 'message');
			readers.kill('SIGSTOP');
			let sent = 0;
			const slow = () => server.metric('pathcast_disconnects_total{reason="slow"}');
			while ((await slow()) < count) {
				witness.send(numbered(sent, 64_000));
				assert.equal((await witness.nextText()).split(' ', 1)[0], String(sent++));
			}
			const ended = once(readers, 'message');
			readers.kill('SIGCONT');
			const [counts] = (await ended) as [number[]];
			assert.equal(counts.length, count);
			for (const messages of counts) assert.ok(messages >= 0 && messages < sent, `${messages} of ${sent}`);
			await witness.close();
			const [least, most] = [Math.min(...counts), Math.max(...counts)];
			return `All ${count} were disconnected as slow; of ${sent} messages they got the first ${least} to ${most}, and another subscriber of the channel got all.`;
		},
	);

	netFault(
		{
			thrown: 'Hundreds of subscribers of a quiet channel whose process is stopped (SIGSTOP)',
			promised: 'A peer that answers no ping for `--ping-timeout` is dropped.',
			flags: ['--ping-timeout', '8s'],
		},
		async (t, server) => {
			const count = inForm(100, 500);
			const file = fileURLToPath(new URL('support/net-readers.js', import.meta.url));
			const readers = fork(file, [server.ws('/quiet'), String(count)]);
			t.after(() => readers.kill('SIGKILL'));
			await once(readers, 'message');
			const startMs = performance.now();
			readers.kill('SIGSTOP');
			await disconnected(server, 'lost', count);
			return `All ${count} were dropped, within ${Math.round((performance.now() - startMs) / 1_000)} s.`;
		},
	);

	netFault(
		{
			thrown: 'A websocket that sends pings without end, and one that reads none of its pongs',
			promised: 'With `--max-rate`, a websocket that sends more messages a second, pings included, is closed with 1008.',
			// Beyond what a bystander sends.
			flags: ['--max-rate', '1000'],
		},
		async (t, server) => {
			let pings = 0;
			for (const reads of [true, false]) {
				const subscriber = await subscribe(t, server.ws('/pings'));
				if (!reads) subscriber.ws.pause();
				const closedBefore = await server.metric('pathcast_disconnects_total{reason="rate"}');
				while ((await server.metric('pathcast_disconnects_total{reason="rate"}')) === closedBefore) {
					for (let i = 0; i < 500; i++) subscriber.ws.ping();
					pings += 500;
				}
				subscriber.ws.resume();
				assert.equal((await subscriber.closed).code, 1008);
			}
			assert.equal(await server.metric('pathcast_disconnects_total{reason="rate"}'), 2);
			return `Both were closed with 1008, after ${pings} pings.`;
		},
	);

	const { skip } = needsOwnNetwork();
	fault(
		'Peers that vanish without a FIN: a websocket, an event stream, a POST in the middle of its body',
		'A vanished peer is freed by `--ping-timeout`, by the kernel (`net.ipv4.tcp_retries2`), or when its request times out.',
		async () => {
			const file = fileURLToPath(new URL('support/net-vanished.js', import.meta.url));
			const output = await inOwnNetwork(`sysctl --quiet net.ipv4.tcp_retries2=3 && ${process.execPath} --test ${file}`);
			const [, text] = /freed: ([^\n]+)/.exec(output) ?? [];
			assert.ok(text !== undefined, output);
			return `${text}.`;
		},
		skip,
	);
});

netFault(
	{
		thrown: 'A subscriber that stops reading and goes on, again and again, before its backlog is too large',
		promised: 'It catches up without a gap.',
		flags: ['--max-backlog', '64MiB'],
	},
	async (t, server) => {
		const witness = await subscribe(t, server.ws('/room'));
		const resting = await subscribe(t, server.ws('/room'));
		const rounds = inForm(3, 30);
		let sent = 0;
		for (let round = 0; round < rounds; round++) {
			resting.ws.pause();
			const first = sent;
			while ((await server.metric('pathcast_lagging_subscribers')) === 0) {
				witness.send(numbered(sent, 64_000));
				assert.equal((await witness.nextText()).split(' ', 1)[0], String(sent++));
			}
			resting.ws.resume();
			for (let i = first; i < sent; i++) assert.equal((await resting.nextText()).split(' ', 1)[0], String(i));
			await becomes(async () => (await server.metric('pathcast_lagging_subscribers')) === 0);
		}
		await witness.close();
		await resting.close();
		return `${rounds} rests, ${sent} messages: none missing, none out of order.`;
	},
);
