import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startRelay, type TcpRelay } from './tcp-relay.js';

/** A relay with one connection through it: the socket of the client, and that of the server. */
async function startPair(t: TestContext): Promise<{ relay: TcpRelay; client: Socket; server: Socket; listener: Server }> {
	const listener = createServer({ allowHalfOpen: true }, (socket) => {
		socket.on('error', () => {});
		t.after(() => socket.destroy());
	}).listen(0, '127.0.0.1');
	await once(listener, 'listening');
	t.after(() => listener.close());
	const relay = await startRelay(t, { port: (listener.address() as AddressInfo).port, host: '127.0.0.1' });
	const accepted = once(listener, 'connection');
	const client = connect({ port: relay.port, host: '127.0.0.1', allowHalfOpen: true });
	const [server] = (await accepted) as [Socket];
	client.on('error', () => {});
	t.after(() => client.destroy());
	return { relay, client, server, listener };
}

/** The next bytes, so many. */
async function bytesOf(socket: Socket, count: number): Promise<string> {
	let text = '';
	while (text.length < count) text += String((await once(socket, 'data'))[0]);
	return text;
}

/** The text that comes until the connection ends, and the error that ends it. */
async function rest(socket: Socket): Promise<{ text: string; error: string | undefined }> {
	let text = '';
	let error: string | undefined;
	socket.on('data', (data) => {
		text += data;
	});
	socket.on('error', ({ code }: NodeJS.ErrnoException) => {
		error = code;
	});
	socket.on('end', () => socket.end());
	await new Promise<void>((resolve) => socket.once('close', () => resolve()));
	return { text, error };
}

test('bytes pass in both directions, in pieces and with delays too', async (t) => {
	const { relay, client, server } = await startPair(t);
	client.write('to the server');
	assert.equal(await bytesOf(server, 13), 'to the server');
	Object.assign(relay.toClient, { pieceBytesMax: 1, delayMsMax: 5 });
	let reads = 0;
	client.on('data', () => reads++);
	server.write('to the client');
	assert.equal(await bytesOf(client, 13), 'to the client');
	assert.ok(reads > 1);
	assert.deepEqual([relay.toServer.passedBytes, relay.toClient.passedBytes, relay.connections], [13, 13, 1]);
});

test('a stalled direction passes nothing until it is resumed; the other one goes on', async (t) => {
	const { relay, client, server } = await startPair(t);
	relay.toServer.stall();
	client.write('late');
	server.write('at once');
	assert.equal(await bytesOf(client, 7), 'at once');
	assert.equal(relay.toServer.passedBytes, 0);
	relay.toServer.resume();
	assert.equal(await bytesOf(server, 4), 'late');
});

test('a connection is reset at both ends after exactly so many bytes of a direction', async (t) => {
	const { relay, client, server } = await startPair(t);
	relay.toServer.resetAfterBytes = 6;
	const ends = Promise.all([rest(client), rest(server)]);
	client.write('four');
	client.write('and more');
	const [ofClient, ofServer] = await ends;
	assert.deepEqual(ofClient, { text: '', error: 'ECONNRESET' });
	// Node may call a reset the end of the stream if bytes came just before it.
	assert.equal(ofServer.text, 'fouran');
	assert.equal(relay.connections, 0);
});

test('a half-closed connection passes the other direction on', async (t) => {
	const { relay, client, server } = await startPair(t);
	client.write('x');
	await bytesOf(server, 1);
	relay.halfClose('server');
	await once(server, 'end');
	server.end('still here');
	assert.equal(await bytesOf(client, 10), 'still here');
});

test('the end of a client is the end for the server, and its reset a reset', async (t) => {
	for (const end of ['end', 'resetAndDestroy'] as const) {
		const { client, server } = await startPair(t);
		client.write('x');
		await bytesOf(server, 1);
		const gone = end === 'end' ? once(server, 'end').then(() => undefined) : rest(server).then(({ error }) => error);
		client[end]();
		assert.equal(await gone, end === 'end' ? undefined : 'ECONNRESET');
	}
});

test('new connections are refused until it accepts again, on the same port', async (t) => {
	const { relay, client, server, listener } = await startPair(t);
	relay.refuse();
	const [error] = await once(connect(relay.port, '127.0.0.1').on('connect', assert.fail), 'error');
	assert.equal(error.code, 'ECONNREFUSED');
	client.write('x');
	assert.equal(await bytesOf(server, 1), 'x');
	await relay.accept();
	const accepted = once(listener, 'connection');
	const again = connect(relay.port, '127.0.0.1');
	t.after(() => again.destroy());
	await accepted;
});
