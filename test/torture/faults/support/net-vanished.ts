// Run in a network of its own by net-slow.torture.ts: clients whose address goes away without a word.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { becomes } from '../../../relay/support/becomes.js';
import { streamRequest } from '../../../support/event-stream.js';
import { startBuilt } from './built-server.js';
import { startBystanders } from './bystanders.js';
import { handshakeOf } from './net-fault.js';

const address = '10.9.9.9';
const changeAddress = (how: 'add' | 'delete') => execFileSync('ip', ['address', how, `${address}/32`, 'dev', 'lo']);
const clients = {
	'the websocket': handshakeOf('/room'),
	'the event stream': streamRequest,
	'the POST': 'POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf',
};

test('vanished clients are freed', async (t) => {
	const server = await startBuilt(t, ['--addr', '0.0.0.0:0', '--ping-timeout', '8s']);
	const bystanders = await startBystanders(t, server);
	const before = server.openFiles();
	changeAddress('add');
	const answered: Promise<unknown>[] = [];
	for (const [name, request] of Object.entries(clients)) {
		const socket = connect({ port: server.port, host: address, localAddress: address });
		socket.on('error', () => {});
		t.after(() => socket.destroy());
		await once(socket, 'connect');
		socket.write(request);
		if (name !== 'the POST') answered.push(once(socket, 'data'));
	}
	await Promise.all(answered);
	await becomes(() => server.openFiles() === before + 3);
	const startMs = performance.now();
	changeAddress('delete');
	const freed: string[] = [];
	for (const left of [2, 1, 0]) {
		await becomes(() => server.openFiles() <= before + left);
		freed.push(`${Math.round((performance.now() - startMs) / 1_000)} s`);
	}
	assert.equal((await server.metric('pathcast_subscribers')) - 9, 0);
	t.diagnostic(`freed: three clients, after ${freed.join(', ')}; ${await bystanders.stop()}`);
});
