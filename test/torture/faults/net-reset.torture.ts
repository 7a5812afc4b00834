// Connections that end in the middle of something: by a reset, by a FIN, or with their process.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { becomes } from '../../relay/support/becomes.js';
import { runCommand } from '../../support/command.js';
import { openStream, streamRequest } from '../../support/event-stream.js';
import { post } from '../../support/http.js';
import { seededRandom } from '../../support/random.js';
import { subscribe } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { inForm } from '../support/torture.js';
import { BuiltServer } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';
import { drained, frame, handshakeOf, netFault, openRawWebsocket, openSocket } from './support/net-fault.js';

const body = 'x'.repeat(inForm(60, 1_000));

netFault(
	{
		thrown:
			'RST after each byte of a handshake, of the request of an event stream, of a POST with Content-Length, and of a chunked POST',
		promised: 'A request that is cut short subscribes nobody and publishes nothing.',
	},
	async (t, server) => {
		const requests = [
			handshakeOf('/room'),
			streamRequest,
			`POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
			`POST /room HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
		];
		const witness = await subscribe(t, server.ws('/room'));
		const opened = await server.metric('pathcast_connections_opened_total');
		let resets = 0;
		for (const request of requests) {
			// A chunked body is complete with the line of its last chunk: the engine does not wait for the empty line.
			const complete = request.endsWith('\r\n0\r\n\r\n') ? request.length - 2 : request.length;
			for (let at = 1; at < complete; at++) {
				const socket = await openSocket(t, { port: server.port });
				await new Promise<void>((resolve) => socket.write(request.slice(0, at), () => resolve()));
				socket.resetAndDestroy();
				resets++;
			}
		}
		assert.equal((await post(server.port, '/room', 'end')).headers.get('x-subscribers'), '1');
		assert.equal(await witness.nextText(), 'end');
		assert.equal(await server.metric('pathcast_connections_opened_total'), opened);
		await witness.close();
		return `${resets} resets: nobody was subscribed, and the next message was the first.`;
	},
);

netFault(
	{
		thrown: 'RST in the middle of frames, and between the fragments of a message',
		promised: 'A message that is not complete is not published; those before it are.',
	},
	async (t, server) => {
		const random = seededRandom(t);
		const fragments = [frame(0x01, body), frame(0x00, body), frame(0x80, body)].join('');
		const witness = await subscribe(t, server.ws('/room'));
		const rounds = inForm(150, 3_000);
		let between = 0;
		for (let round = 0; round < rounds; round++) {
			const socket = await openRawWebsocket(t, { port: server.port }, '/room');
			const third = fragments.length / 3;
			// Each third one ends exactly between two fragments.
			const at = round % 3 === 0 ? third * (1 + random.below(2)) : 1 + random.below(fragments.length - 1);
			if (at % third === 0) between++;
			socket.write(`${frame(0x81, `whole ${round}`)}${fragments.slice(0, at)}`, 'latin1');
			assert.equal(await witness.nextText(), `whole ${round}`);
			socket.resetAndDestroy();
		}
		await becomes(async () => (await server.metric('pathcast_disconnects_total{reason="lost"}')) === rounds);
		witness.send('end');
		assert.equal(await witness.nextText(), 'end');
		await witness.close();
		return `${rounds} resets, ${between} of them between fragments: ${rounds} whole messages were delivered, and no part of another.`;
	},
);

const pipelined = {
	'the page': 'GET /room HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(8),
	'refused paths': 'GET /% HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(150),
	'a method of another kind': 'DELETE /room HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(150),
};

// The engine aborts the process if it drops an answer that it cannot write, and finds no abort handler.
netFault(
	{
		thrown: 'RST in the middle of the answers to many pipelined requests, and clients that read none of them',
		promised: 'A client that asks much, reads nothing and goes away does not end the process.',
	},
	async (t, server) => {
		const rounds = inForm(100, 2_000);
		let resets = 0;
		for (const text of Object.values(pipelined)) {
			for (let round = 0; round < rounds; round++) {
				const socket = await openSocket(t, { port: server.port });
				socket.write(text);
				// A reset in the middle of the answers: at the first byte of them, or a few bytes later.
				await once(socket, 'data');
				socket.write(text);
				socket.resetAndDestroy();
				resets++;
			}
			const silent = await openSocket(t, { port: server.port });
			silent.pause();
			for (let i = 0; i < 2_000 && silent.writable; i++) {
				// It is closed meanwhile: that many requests are too many.
				if (!silent.write(text)) await Promise.race([once(silent, 'drain').catch(() => {}), post(server.port, '/other', '')]);
			}
			silent.destroy();
		}
		assert.equal((await post(server.port, '/room', 'x')).status, 200);
		return `${resets} resets and ${Object.keys(pipelined).length} clients that read nothing, with ${Object.keys(pipelined).join(', ')}.`;
	},
);

netFault(
	{
		thrown:
			'Clients that send a FIN and go on reading: after a handshake, after the request of an event stream, in the middle of a POST',
		promised: 'A client that closes its connection has left the channel at once.',
	},
	async (t, server) => {
		const rounds = inForm(50, 1_000);
		const witness = await subscribe(t, server.ws('/room'));
		const before = await server.metric('pathcast_subscribers');
		const half = `POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(1)}`;
		for (let round = 0; round < rounds; round++) {
			for (const request of [handshakeOf('/room'), streamRequest, half]) {
				const socket = await openSocket(t, { port: server.port, allowHalfOpen: true });
				socket.write(request);
				if (request !== half) await once(socket, 'data');
				socket.end();
				await drained(socket);
			}
		}
		await becomes(async () => (await server.metric('pathcast_subscribers')) === before);
		witness.send('end');
		assert.equal(await witness.nextText(), 'end');
		await witness.close();
		return `${3 * rounds} clients: the server closed its half of each, nobody of them is left on the channel, and no half of a POST was published.`;
	},
);

fault(
	'Processes with clients of a UNIX socket that are killed, while messages flow',
	'Clients that vanish leave the channel, and the others miss nothing.',
	async (t) => {
		const socketPath = `${temporaryFolder(t)}/pathcast.sock`;
		const command = runCommand(t, ['--addr', socketPath, '--mport', '0', '--drain', '0s']);
		const server = new BuiltServer(command, 0, await command.operatorPort());
		const bystanders = await startBystanders(t, { socketPath });
		const before = server.openFiles();
		const publisher = await subscribe(t, `ws+unix:${socketPath}:/room`);
		const stream = await openStream(t, { socketPath }, '/room');
		const [rounds, each] = [inForm(2, 20), 200];
		let sent = 0;
		for (let round = 0; round < rounds; round++) {
			const readers = fork(fileURLToPath(new URL('support/net-readers.js', import.meta.url)), [
				`ws+unix:${socketPath}:/room`,
				String(each),
			]);
			t.after(() => readers.kill('SIGKILL'));
			await once(readers, 'message');
			const crowd = await server.metric('pathcast_subscribers');
			readers.kill('SIGKILL');
			let left = crowd;
			do {
				publisher.send(String(sent));
				assert.deepEqual([await publisher.nextText(), (await stream.next()).data], [String(sent), String(sent)]);
				sent++;
				left = await server.metric('pathcast_subscribers');
			} while (left > crowd - each);
			assert.equal(left, crowd - each);
		}
		await publisher.close();
		stream.response.destroy();
		await server.descriptorsComeBackTo(before);
		const seen = await bystanders.stop();
		server.assertNoErrors();
		return `${rounds} kills of ${each} clients each: all left; the ${sent} messages meanwhile reached the others. ${seen}; the descriptors are those of before.`;
	},
);
