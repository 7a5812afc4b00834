// Servers that answer the first commands as an old Redis does, or as no Redis at all.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** Answers HELLO as Redis 6.2 does: in RESP3, with its version. */
export const redis62 = (() => {
	const fields = { server: 'redis', version: '6.2.14', mode: 'standalone', role: 'master' };
	const text = (value: string) => `$${value.length}\r\n${value}\r\n`;
	const pairs = Object.entries(fields).map(([name, value]) => text(name) + text(value));
	return `%7\r\n${pairs.join('')}${text('proto')}:3\r\n${text('id')}:1\r\n${text('modules')}*0\r\n`;
})();

/** Answers HELLO as Redis 5 does. */
export const redis5 = '-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n';

/** Speaks another protocol. */
export const notRedis = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n';

/** Gives each command that answer, or what is made of the bytes that came with it, and gives the port. */
export async function startAnswering(t: TestContext, answer: string, made?: (data: string) => string): Promise<number> {
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		sockets.add(socket);
		socket.on('error', () => {});
		// Each command is a list, and comes in a chunk of its own or with others.
		socket.on('data', (data) => {
			const commands = data.toString('latin1').match(/^\*\d+\r$/gm) ?? [];
			for (const _ of commands) socket.write(made?.(data.toString('latin1')) ?? answer);
		});
	});
	await once(server.listen(0, '127.0.0.1'), 'listening');
	t.after(() => {
		server.close();
		for (const socket of sockets) socket.destroy();
	});
	return (server.address() as AddressInfo).port;
}
