// A row about clients and networks that misbehave: the built server, with bystanders before, during and after it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { becomes } from '../../../relay/support/becomes.js';
import { handshakeHeaders } from '../../../support/http.js';
import { subscribe } from '../../../support/subscriber.js';
import { tlsFlags } from '../../../support/tls.js';
import { type BuiltServer, onLinux, startBuilt } from './built-server.js';
import { Bystanders, startBystanders } from './bystanders.js';
import { fault } from './fault.js';

type NetFault = {
	readonly thrown: string;
	readonly promised: string;
	readonly flags?: readonly string[];
	readonly isTls?: boolean;
	readonly skip?: string | false;
};

/** Afterwards, the bystanders have missed nothing, and the process is the same, has no errors, and no descriptor more than before. */
export function netFault(
	{ thrown, promised, flags = [], isTls = false, skip = false }: NetFault,
	check: (t: TestContext, server: BuiltServer) => Promise<string>,
): void {
	const checkAll = async (t: TestContext) => {
		const server = await startBuilt(t, [...(isTls ? tlsFlags : []), ...flags]);
		const bystanders = isTls ? await startBystandersOverTls(t, server) : await startBystanders(t, server);
		const before = server.openFiles();
		const happened = await check(t, server);
		await server.descriptorsComeBackTo(before);
		const seen = await bystanders.stop();
		server.assertNoErrors();
		assert.equal(server.command.child.exitCode, null);
		return `${happened} ${seen}; the descriptors are those of before.`;
	};
	fault(thrown, promised, checkAll, skip || onLinux);
}

async function startBystandersOverTls(t: TestContext, { port }: BuiltServer): Promise<Bystanders> {
	const bystanders = new Bystanders();
	for (const path of ['/bystander/0', '/bystander/1', '/bystander/2']) {
		const open = () => subscribe(t, `wss://127.0.0.1:${port}${path}`, { rejectUnauthorized: false });
		const publisher = await open();
		bystanders.begin(publisher, [publisher, await open(), await open()]);
	}
	return bystanders;
}

/** Opens a connection, which the test's end closes. Its errors are ways of closing. */
export async function openSocket(t: TestContext, target: NetConnectOpts): Promise<Socket> {
	const socket = connect({ host: '127.0.0.1', noDelay: true, ...target });
	socket.on('error', () => {});
	t.after(() => socket.destroy());
	await once(socket, 'connect');
	return socket;
}

/** Opens many of them, some at a time: the system would refuse them all at once. */
export async function openSockets(t: TestContext, count: number, target: NetConnectOpts): Promise<Socket[]> {
	const sockets: Socket[] = [];
	while (sockets.length < count) {
		const next = Array.from({ length: Math.min(100, count - sockets.length) }, () => openSocket(t, target));
		sockets.push(...(await Promise.all(next)));
	}
	return sockets;
}

/** Opens a websocket of which the test writes the frames. */
export async function openRawWebsocket(t: TestContext, target: NetConnectOpts, path: string): Promise<Socket> {
	const socket = await openSocket(t, target);
	socket.write(handshakeOf(path));
	assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 101 /);
	return socket;
}

/** Takes what comes, and gives it when the connection has ended. */
export async function drained(socket: Socket): Promise<string> {
	let text = '';
	socket.on('data', (data) => {
		text += data.toString('latin1');
	});
	if (!socket.closed) await new Promise<void>((resolve) => socket.once('close', () => resolve()));
	return text;
}

export function handshakeOf(path: string): string {
	const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
	return `GET ${path} HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`;
}

/** A masked frame of up to 65,535 bytes. Its mask is all zeroes, so that its payload stands there as it is. */
export function frame(firstByte: number, payload: string): string {
	const { length } = payload;
	const size = length < 126 ? [0x80 | length] : [0xfe, length >> 8, length & 0xff];
	return `${String.fromCharCode(firstByte, ...size)}\0\0\0\0${payload}`;
}

/** Waits until so many connections have been closed for that cause. */
export async function disconnected(server: BuiltServer, cause: string, count: number): Promise<void> {
	await becomes(async () => (await server.metric(`pathcast_disconnects_total{reason="${cause}"}`)) >= count);
	assert.equal(await server.metric(`pathcast_disconnects_total{reason="${cause}"}`), count);
}
