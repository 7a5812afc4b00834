// TLS that goes wrong: garbage before and after the handshake, renegotiation, an end without close_notify.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, type TestContext } from 'node:test';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { becomes } from '../../relay/support/becomes.js';
import { streamRequest } from '../../support/event-stream.js';
import { type Random, seededRandom } from '../../support/random.js';
import { inForm } from '../support/torture.js';
import type { BuiltServer } from './support/built-server.js';
import { drained, handshakeOf, netFault, openSocket } from './support/net-fault.js';

type Opened = { readonly tls: TLSSocket; readonly raw: Socket };

/** Opens a TLS connection over a socket to which the test can write beside it. */
async function openTls(t: TestContext, server: BuiltServer, options: ConnectionOptions = {}): Promise<Opened> {
	const raw = await openSocket(t, { port: server.port });
	const tls = connectTls({ rejectUnauthorized: false, ...options, socket: raw });
	tls.on('error', () => {});
	await once(tls, 'secureConnect');
	return { tls, raw };
}

function garbageOf(random: Random): Buffer {
	return Buffer.from(Array.from({ length: 1 + random.below(2_000) }, () => random.below(256)));
}

describe('TLS', { concurrency: true }, () => {
	netFault(
		{
			thrown: 'Garbage in place of a TLS handshake, in the middle of one, and after one',
			promised: 'The connection is closed; nothing is subscribed or published.',
			isTls: true,
		},
		async (t, server) => {
			const random = seededRandom(t);
			const subscribers = await server.metric('pathcast_subscribers');
			const rounds = inForm(60, 600);
			for (let round = 0; round < rounds; round++) {
				const garbage = garbageOf(random);
				if (round % 3 === 0) {
					const socket = await openSocket(t, { port: server.port });
					// A record that is no handshake, as plain HTTP is none: 23 is application data.
					socket.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 1]), garbage]));
					await drained(socket);
				} else if (round % 3 === 1) {
					const socket = await openSocket(t, { port: server.port });
					connectTls({ socket, rejectUnauthorized: false }).on('error', () => {});
					socket.write(Buffer.concat([Buffer.from([20, 3, 3, 0, 200]), garbage]));
					socket.write(Buffer.alloc(300, 0xff));
					if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
				} else {
					const { tls, raw } = await openTls(t, server);
					tls.write(handshakeOf('/room'));
					await once(tls, 'data');
					raw.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 50]), Buffer.alloc(50, garbage)]));
					if (!raw.closed) await new Promise((resolve) => raw.once('close', resolve));
				}
			}
			await becomes(async () => (await server.metric('pathcast_subscribers')) === subscribers);
			return `${rounds} connections, a third of each kind: all were closed.`;
		},
	);

	netFault(
		{
			thrown: 'Renegotiation, asked for by clients of TLS 1.2',
			promised: 'A client cannot make the server renegotiate: the connection is closed, or goes on as it was.',
			isTls: true,
		},
		async (t, server) => {
			const rounds = inForm(20, 200);
			let refused = 0;
			for (let round = 0; round < rounds; round++) {
				const { tls, raw } = await openTls(t, server, { maxVersion: 'TLSv1.2' });
				tls.write(handshakeOf('/room'));
				await once(tls, 'data');
				const outcome = new Promise<string>((resolve) => {
					tls.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error === null ? 'renegotiated' : 'refused'));
					raw.once('close', () => resolve('refused'));
				});
				if ((await outcome) === 'refused') refused++;
				tls.destroy();
			}
			assert.equal(refused, rounds);
			return `${refused} of ${rounds} were refused.`;
		},
	);

	netFault(
		{
			thrown: 'TLS connections that end without close_notify: by a FIN, and by a reset',
			promised: 'A client that closes its connection has left the channel at once.',
			isTls: true,
		},
		async (t, server) => {
			const subscribers = await server.metric('pathcast_subscribers');
			const rounds = inForm(100, 1_000);
			for (let round = 0; round < rounds; round++) {
				const { tls, raw } = await openTls(t, server);
				tls.write(round % 2 === 0 ? handshakeOf('/room') : streamRequest);
				await once(tls, 'data');
				if (round % 4 < 2) raw.destroy();
				else raw.resetAndDestroy();
			}
			await becomes(async () => (await server.metric('pathcast_subscribers')) === subscribers);
			return `${rounds} websockets and event streams: all have left.`;
		},
	);
});
