// A client that sends all of a request before it reads anything, and asks for the connection to be closed.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** Sends a head, which ends with a line end, and a body. Gives what came until the connection ended. */
export async function answerAfterAll(t: TestContext, open: () => Socket, head: string, body: Buffer): Promise<string> {
	const socket = open();
	t.after(() => socket.destroy());
	socket.on('error', () => {});
	socket.pause();
	socket.write(`${head}Host: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`);
	await new Promise<void>((resolve) => socket.write(body, () => resolve()));
	let text = '';
	socket.on('data', (data) => {
		text += data;
	});
	socket.resume();
	await once(socket, 'close');
	return text;
}
