// Acts of clients and of the operator during a soak that would harm a careless server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import WebSocket from 'ws';
import type { Ports } from '../../deploy/support/nodes.js';
import { post, request } from '../../support/http.js';

/** Each is done to one server, and rejects if the server does not act as it should. `nth` is another number for each misdeed. */
export const misdeeds: readonly ((server: Ports, nth: number) => Promise<void>)[] = [
	cutShort('GET /soak/0 HTTP/1.1\r\nHost: x\r\nUpgrade: webso'),
	cutShort('POST /soak/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf'),
	cutShort('GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n'),
	cutShort('\x16\x03\x01\x02\x00\x01\x00'),
	sendTooMuch,
	readNothing,
	scrape,
	closeChannel,
];

/** Sends these bytes, and resets the connection. */
function cutShort(bytes: string): (server: Ports) => Promise<void> {
	return async ({ port }) => {
		const socket = connect(port, '127.0.0.1');
		socket.on('error', () => {});
		await once(socket, 'connect');
		await new Promise((resolve) => socket.write(bytes, 'latin1', resolve));
		socket.resetAndDestroy();
	};
}

/** A message that is too large, on a channel of its own. */
async function sendTooMuch({ port }: Ports): Promise<void> {
	const ws = new WebSocket(`ws://127.0.0.1:${port}/misdeed`);
	ws.on('error', () => {});
	ws.on('open', () => ws.send('x'.repeat(100_000)));
	const [code] = await once(ws, 'close');
	assert.equal(code, 1009);
}

/** A subscriber that does not read is sent messages until it is cut. */
async function readNothing({ port }: Ports, nth: number): Promise<void> {
	// Each misdeed has a path of its own. While another node is still subscribed to a path, its answers do not count the subscribers.
	const path = `/unread/${nth}`;
	const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`);
	ws.on('error', () => {});
	await once(ws, 'open');
	ws.pause();
	const text = 'x'.repeat(65_000);
	let subscribers: string | undefined = '1';
	for (let sent = 0; subscribers === '1'; sent++) {
		assert.ok(sent < 1_000, 'a subscriber that reads nothing is not cut');
		const { status, headers, body } = await post(port, path, text);
		assert.equal(status, 200, `a POST to ${path}: ${body}`);
		subscribers = headers.get('x-subscribers');
	}
	assert.equal(subscribers, '0');
	ws.terminate();
}

async function scrape({ operatorPort }: Ports): Promise<void> {
	for (const path of ['/metrics', '/stats', '/channels', '/readyz']) {
		const { status } = await request(operatorPort, { path });
		assert.equal(status, 200, path);
	}
}

/** The operator closes a channel, with a last message. */
async function closeChannel({ port, operatorPort }: Ports): Promise<void> {
	const ws = new WebSocket(`ws://127.0.0.1:${port}/closing`);
	await once(ws, 'open');
	const told = Promise.all([once(ws, 'message'), once(ws, 'close')]);
	await request(operatorPort, { method: 'DELETE', path: '/channels/closing', body: 'last' });
	const [[last], [code]] = await told;
	assert.deepEqual([String(last), code], ['last', 1_000]);
}
