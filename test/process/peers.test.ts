// Peers that behave as no client should, but networks and machines make them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { anyPort, runCommand } from '../support/command.js';
import { sendUntilLagging } from '../support/gapless.js';
import { handshakeHeaders, post } from '../support/http.js';
import { metricOf } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
const handshake = `GET /room HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`;

/** A server with a healthy subscriber of /room. */
async function serverWithReader(t: TestContext, ...flags: string[]) {
	const command = runCommand(t, [...anyPort, ...flags]);
	const port = await command.port();
	const operatorPort = await command.operatorPort();
	const ended = (reason: string) => metricOf(operatorPort, `pathcast_disconnects_total{reason="${reason}"}`);
	return { command, port, operatorPort, ended, healthy: await subscribe(t, `ws://127.0.0.1:${port}/room`) };
}

/** A websocket whose bytes the test writes itself. */
async function rawPeer(t: TestContext, port: number): Promise<Socket> {
	const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
	t.after(() => socket.destroy());
	socket.on('error', () => {});
	socket.write(handshake);
	await once(socket, 'data');
	return socket;
}

test('a client process that was stopped (SIGSTOP) is disconnected as slow, and finds out when it goes on', async (t) => {
	const { command, port, operatorPort, ended, healthy } = await serverWithReader(t, '--write-timeout', '1s');
	const script = `
		const socket = require('node:net').connect(${port}, '127.0.0.1', () => socket.write(${JSON.stringify(handshake)}));
		socket.once('data', () => process.stdout.write('subscribed')).resume().on('error', () => {}).on('close', () => process.exit(7));`;
	const client = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
	t.after(() => client.kill('SIGKILL'));
	await once(client.stdout, 'data');
	client.kill('SIGSTOP');

	let sent = await sendUntilLagging([healthy], 1, operatorPort);
	while ((await ended('slow')) < 1) {
		healthy.send(String(sent));
		assert.equal(await healthy.nextText(), String(sent++));
	}
	const { path, ip, backlog } = await command.logged('slow');
	assert.deepEqual([path, ip, Number(backlog) > 0], ['/room', '127.0.0.1', true]);
	const exit = once(client, 'exit');
	client.kill('SIGCONT');
	assert.deepEqual(await exit, [7, null]);
	assert.equal(await ended('lost'), 0);
});

test('a peer that is half gone (it has sent its FIN, and would still read) is let go at once', async (t) => {
	const { port, ended, healthy } = await serverWithReader(t);
	const half = await rawPeer(t, port);
	// Not events.once, for which a reset would be an error.
	const closed = new Promise((resolve) => half.once('close', resolve));
	half.end();
	await closed;
	assert.equal((await post(port, '/room', 'x')).headers.get('x-subscribers'), '1');
	assert.equal(await healthy.nextText(), 'x');
	assert.equal(await ended('lost'), 1);
});

test('a reset in the middle of a frame loses that message and that peer, and nothing else', async (t) => {
	const { command, port, ended, healthy } = await serverWithReader(t);
	for (let i = 0; i < 50; i++) {
		const peer = await rawPeer(t, port);
		// A whole message "ab", masked with zeroes, and the beginning of one of 60,000 bytes.
		const whole = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x61, 0x62]);
		const beginning = Buffer.concat([
			Buffer.from([0x81, 0xfe, 60_000 >> 8, 60_000 & 0xff, 0, 0, 0, 0]),
			Buffer.alloc(30_000, 'x'),
		]);
		await new Promise((resolve) => peer.write(Buffer.concat([whole, beginning]), resolve));
		assert.equal(await healthy.nextText(), 'ab');
		peer.resetAndDestroy();
	}
	while ((await ended('lost')) < 50);
	await post(port, '/room', 'end');
	assert.equal(await healthy.nextText(), 'end');
	assert.equal(await ended('slow'), 0);
	assert.equal(command.child.exitCode, null);
});
