// A client that sends all of a request before it reads anything, and asks for the connection to be closed.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';

const rounds = 20;

/** Holds that each of 20 such requests gets a refusal of pathcast's own, with its one line, and not the page of a proxy. */
export async function assertRefused(
	t: TestContext,
	open: () => Socket,
	head: string,
	body: Buffer,
	status: number,
): Promise<void> {
	for (let round = 0; round < rounds; round++) {
		const text = await answerAfterAll(t, open, head, body);
		assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*\r\n\r\n[A-Z].*\n$`), `${head}, round ${round}`);
	}
}

/** Sends a head, which ends with a line end, and a body. Gives what came until the connection ended. */
async function answerAfterAll(t: TestContext, open: () => Socket, head: string, body: Buffer): Promise<string> {
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
