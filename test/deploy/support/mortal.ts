// In the place of a node, one that does not live to answer.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** Reads a whole request, and ends the connection without an answer, as a node that is killed then. */
export async function startMortal(t: TestContext): Promise<{ port: number; read: string[] }> {
	const read: string[] = [];
	const server = createServer((req) => {
		req.resume().once('end', () => {
			read.push(`${req.method} ${req.url}`);
			req.socket.destroy();
		});
	}).listen(0, '127.0.0.1');
	t.after(() => void server.close());
	await once(server, 'listening');
	return { port: (server.address() as AddressInfo).port, read };
}
