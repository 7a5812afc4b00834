// Clients that send very much at once, or do not read their answers: they are closed, the others notice nothing, and little is kept.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { type Command, runCommand } from '../support/command.js';
import { handshakeHeaders, post } from '../support/http.js';
import { residentBytes } from '../support/process.js';
import { protocol } from '../support/protocol.js';
import { metricOf } from '../support/server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const floodBytes = 1_048_576;
const connections = 20;
const heldBytesMax = 104_857_600;
const tls = (name: string) => fileURLToPath(new URL(`../../../test/support/tls/valid.${name}.pem`, import.meta.url));
const head = (line: string, ...fields: string[]) => `${[`${line} HTTP/1.1`, 'Host: x', ...fields].join('\r\n')}\r\n\r\n`;
const requests = {
	'the page': head('GET /x'),
	'HEAD of the page': head('HEAD /x'),
	'a page that the client has': head('GET /x', 'If-None-Match: *'),
	'a path that is refused': head('GET /%zz'),
	OPTIONS: head('OPTIONS /x'),
	POST: `${head('POST /x', 'Content-Length: 1')}x`,
	DELETE: head('DELETE /x'),
	'a refused upgrade': head('GET /x', 'Upgrade: websocket', 'Sec-WebSocket-Version: 8'),
};

type Target = { readonly command: Command; readonly operatorPort: number; connect(): Promise<Socket> };

/** Where a server listens: plainly, over TLS, on a UNIX socket. */
type Listen = (t: TestContext) => Promise<Target>;
const listeners: Record<string, Listen> = {
	http: async (t) => {
		const command = runCommand(t, ['--addr', '127.0.0.1:0', '--mport', '0']);
		const port = await command.port();
		return targetOf(command, () => connect(port, '127.0.0.1'));
	},
	https: async (t) => {
		const command = runCommand(t, ['--addr', '127.0.0.1:0', '--mport', '0', '--tls-cert', tls('cert'), '--tls-key', tls('key')]);
		const port = await command.port();
		return targetOf(command, () => connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }), 'secureConnect');
	},
	'a UNIX socket': async (t) => {
		const path = join(temporaryFolder(t), 'pathcast.sock');
		const command = runCommand(t, ['--addr', path, '--mport', '0']);
		await command.logged('start');
		return targetOf(command, () => connect(path));
	},
};

async function targetOf(command: Command, open: () => Socket, event = 'connect'): Promise<Target> {
	return {
		command,
		operatorPort: await command.operatorPort(),
		async connect() {
			const socket = open();
			socket.on('error', () => {});
			await once(socket, event);
			return socket;
		},
	};
}

/** Takes what comes, and gives it when the connection has ended. */
async function drained(socket: Socket): Promise<string> {
	let text = '';
	socket.on('data', (data) => {
		text += data.toString('latin1');
	});
	// Not by once(), which rejects if a reset comes first.
	await new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));
	return text;
}

/** How many connections were closed for what this is about. */
async function countClosed(operatorPort: number): Promise<number> {
	const [pipelining, unread] = await Promise.all(
		['pipelining', 'unread'].map((reason) => metricOf(operatorPort, `pathcast_refusals_total{reason="${reason}"}`)),
	);
	return Number(pipelining) + Number(unread);
}

protocol(
	'A client that pipelines a megabyte of requests is closed, whatever they are, and whether it reads or not; 16 at once are served in order.',
	async (t) => {
		for (const [name, listen] of Object.entries(listeners)) {
			await t.test(name, (t) => floods(t, listen));
			await t.test(`${name}, 16 at once`, (t) => pipelines(t, listen));
		}
	},
);

async function floods(t: TestContext, listen: Listen): Promise<void> {
	const { command, operatorPort, connect } = await listen(t);
	const before = residentBytes(command.child.pid as number);
	let closed = 0;
	for (const [what, bytes] of Object.entries(requests)) {
		for (const reads of [true, false]) {
			const flood = bytes.repeat(Math.ceil(floodBytes / bytes.length));
			const sockets = await Promise.all(Array.from({ length: connections }, connect));
			const innocent = await connect();
			for (const socket of sockets) socket.write(flood, 'latin1');
			const ends = reads ? sockets.map(drained) : [];
			// Served in its turn, while they are closed.
			innocent.write(head('POST /innocent', 'Content-Length: 0'));
			assert.match(String((await once(innocent, 'data'))[0]), /^HTTP\/1\.1 200 /, what);
			closed += connections;
			while ((await countClosed(operatorPort)) < closed) await new Promise(setImmediate);
			for (const text of await Promise.all(ends)) {
				const answers = text.split('HTTP/1.1 ').length - 1;
				// Each read has as much as has arrived by then: how many reads are served before one that has too much is the kernel's matter.
				assert.ok(answers < flood.length / bytes.length / 2, `${what}: ${answers} answers to one`);
			}
			for (const socket of [...sockets, innocent]) socket.destroy();
			const grown = residentBytes(command.child.pid as number) - before;
			assert.ok(grown < heldBytesMax, `${what}: ${grown} bytes more`);
		}
	}
	const line = await command.logged('refused');
	assert.equal(line.level, 'warn');
	assert.match(String(line.reason), /^(pipelining|unread)$/);
}

async function pipelines(t: TestContext, listen: Listen): Promise<void> {
	const { operatorPort, connect } = await listen(t);
	for (const [what, bytes] of Object.entries(requests)) {
		const socket = await connect();
		// Whatever they are, the last one tells that all before were answered.
		socket.write(`${bytes.repeat(16)}${head('PUT /last', 'Connection: close', 'Content-Length: 0')}`, 'latin1');
		const text = await drained(socket);
		assert.equal(text.split('HTTP/1.1 ').length - 1, 17, what);
		assert.match(text, /X-Subscribers: 0\r\n[\s\S]*\r\n\r\nOK\n$/, what);
	}
	assert.equal(await countClosed(operatorPort), 0);
}

protocol('A client that sends request after request and reads no answer is closed before much is kept for it.', async (t) => {
	const command = runCommand(t, ['--addr', '127.0.0.1:0', '--mport', '0']);
	const [port, operatorPort] = [await command.port(), await command.operatorPort()];
	const before = residentBytes(command.child.pid as number);
	const socket = connect(port, '127.0.0.1');
	socket.on('error', () => {});
	// Nagle's algorithm would hold requests back until an ACK comes, up to 40 ms here, and then send too many at once.
	socket.setNoDelay();
	// Few at a time, so that no tick has too many: the server has read them when it answers what comes after them.
	const some = requests['the page'].repeat(8);
	while ((await countClosed(operatorPort)) === 0) {
		socket.write(some);
		await post(port, '/innocent', '');
	}
	assert.equal(await metricOf(operatorPort, 'pathcast_refusals_total{reason="unread"}'), 1);
	assert.ok(residentBytes(command.child.pid as number) - before < heldBytesMax);
	socket.destroy();
});

protocol(
	'A websocket that sends a megabyte of tiny messages, keepalives, pings or pongs at once is closed with 1008; 4,000 at once are delivered.',
	async (t) => {
		for (const [name, listen] of Object.entries(listeners)) await t.test(name, (t) => floodsOfFrames(t, listen));
	},
);

async function floodsOfFrames(t: TestContext, listen: Listen): Promise<void> {
	const { command, operatorPort, connect } = await listen(t);
	const handshake = head('GET /flood', ...Object.entries(handshakeHeaders).map(([field, value]) => `${field}: ${value}`));
	const open = async () => {
		const socket = await connect();
		socket.write(handshake);
		await once(socket, 'data');
		return socket;
	};
	const innocent = await open();
	let echoed = 0;
	innocent.on('data', (data) => {
		echoed += data.toString('latin1').split('\x81\x04mine').length - 1;
	});
	for (const [what, frame] of Object.entries({
		messages: '\x81\x81\0\0\0\0x',
		keepalives: '\x81\x80\0\0\0\0',
		pings: '\x89\x80\0\0\0\0',
		pongs: '\x8a\x80\0\0\0\0',
	})) {
		const socket = await open();
		const ended = drained(socket);
		socket.write(frame.repeat(floodBytes / frame.length), 'latin1');
		innocent.write('\x81\x84\0\0\0\0mine', 'latin1');
		// A reset may overtake the close frame: the log and the metrics tell.
		await ended;
		while (echoed === 0) await once(innocent, 'data');
		echoed = 0;
		const { reason, level } = await command.logged('refused', '/flood');
		assert.deepEqual([reason, level], ['flood', 'warn'], what);
	}
	assert.equal(await metricOf(operatorPort, 'pathcast_disconnects_total{reason="flood"}'), 4);
	assert.equal(await metricOf(operatorPort, 'pathcast_subscribers'), 1);
	innocent.destroy();

	const connection = await connect();
	const ws = new WebSocket('ws://x/room', { createConnection: () => connection });
	await once(ws, 'open');
	const texts = Array.from({ length: 4_000 }, (_, i) => String(i));
	const received: string[] = [];
	ws.on('message', (data) => received.push(String(data)));
	for (const text of texts) ws.send(text);
	while (received.length < texts.length) await once(ws, 'message');
	assert.deepEqual(received, texts);
	ws.terminate();
}
