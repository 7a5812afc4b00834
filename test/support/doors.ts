// The three kinds of requests that --auth is asked about, so that one test can try them all.
import type { TestContext } from 'node:test';
import { acceptsStream } from './event-stream.js';
import { type Answer, handshakeHeaders, RawConnection } from './http.js';
import { startTestServer } from './server.js';
import { hold, startService } from './service.js';
import { subscribe } from './subscriber.js';

export type AskedDoor = 'websocket' | 'event stream' | 'POST';
export const askedDoors: readonly AskedDoor[] = ['websocket', 'event stream', 'POST'];
/** The status with which each of them lets a client in. */
export const openStatus: Record<AskedDoor, number> = { websocket: 101, 'event stream': 200, POST: 200 };

/** A complete request, by its bytes. Its header fields are given as they are to go out. */
export function requestFor(door: AskedDoor, path = '/room', headers: readonly string[] = []): string {
	const [method, own, body] = {
		websocket: ['GET', linesOf(handshakeHeaders), ''] as const,
		'event stream': ['GET', linesOf(acceptsStream), ''] as const,
		POST: ['POST', ['Content-Length: 5'], 'hello'] as const,
	}[door];
	return `${method} ${path} HTTP/1.1\r\n${['Host: example.com', ...own, ...headers, '', ''].join('\r\n')}${body}`;
}

/** Sends the request, over a connection of its own, which stays open. */
export function knock(port: number, door: AskedDoor, path?: string, headers?: readonly string[]): RawConnection {
	const connection = new RawConnection(port);
	void connection.write(requestFor(door, path, headers));
	return connection;
}

/** Sends many requests at once, each over a connection of its own. */
export async function knockMany(port: number, count: number, requestOf: (nth: number) => string): Promise<RawConnection[]> {
	const connections: RawConnection[] = [];
	while (connections.length < count) {
		const next = Array.from({ length: Math.min(100, count - connections.length) }, () => new RawConnection(port));
		// Connected some at a time: the system would drop a few of them all at once.
		await Promise.all(next.map((connection) => connection.write('')));
		connections.push(...next);
	}
	for (const [nth, connection] of connections.entries()) void connection.write(requestOf(nth));
	return connections;
}

/** A server with a subscriber of /room, and the service that it asks, which leaves its answers to the test from now on. */
export async function startHeld(t: TestContext) {
	const service = await startService(t);
	const server = await startTestServer(t, '--auth', service.url);
	const listener = await subscribe(t, server.ws('/room'));
	await service.next();
	service.script = hold;
	return { service, server, listener };
}

/** The answer to the request, whose connection ends with it. */
export async function answerTo(port: number, door: AskedDoor, path?: string, headers?: readonly string[]): Promise<Answer> {
	const connection = knock(port, door, path, headers);
	try {
		return await connection.answer();
	} finally {
		connection.end();
	}
}

function linesOf(headers: Record<string, string>): string[] {
	return Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
}
