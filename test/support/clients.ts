// A subscriber by websocket or by event stream, for tests of what holds for both.
import type { TestContext } from 'node:test';
import { openStream } from './event-stream.js';
import type { TestServer } from './server.js';
import { subscribe } from './subscriber.js';

export type Client = {
	/** The next messages, which may still have to arrive. Rejects if the connection ends first. */
	texts(count: number): Promise<string[]>;
	/** All messages until the connection ends. */
	textsUntilEnd(): Promise<string[]>;
	/** How the connection ended: the code and the reason of a close frame, or for a stream whether it had its last chunk. */
	readonly end: Promise<string>;
	/** Stops reading, until `resume`. */
	pause(): void;
	resume(): void;
};

export type ClientKind = 'websocket' | 'event stream';
export const clientKinds: readonly ClientKind[] = ['websocket', 'event stream'];

/** Opens a client, which the test's end closes. Resolves when it is subscribed. */
export async function openClient(
	t: TestContext,
	kind: ClientKind,
	server: Pick<TestServer, 'port' | 'ws'>,
	path: string,
	headers: Record<string, string> = {},
): Promise<Client> {
	if (kind === 'event stream') {
		const stream = await openStream(t, server, path, headers);
		return {
			texts: (count) => stream.texts(count),
			textsUntilEnd: () => stream.textsUntilClosed(),
			end: stream.closed,
			pause: () => void stream.response.pause(),
			resume: () => void stream.response.resume(),
		};
	}
	const subscriber = await subscribe(t, server.ws(path), { headers });
	const end = subscriber.closed.then(({ code, reason }) => `${code} ${reason}`.trim());
	return {
		texts: (count) => subscriber.texts(count),
		textsUntilEnd: async () => subscriber.textsUntilClosed((await subscriber.closed).code),
		end,
		pause: () => subscriber.ws.pause(),
		resume: () => subscriber.ws.resume(),
	};
}

/** How a client of that kind ends that the server closes after its last message. */
export function endOf(kind: ClientKind, code: number, reason: string): string {
	return kind === 'websocket' ? `${code} ${reason}` : 'ended';
}
