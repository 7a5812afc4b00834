// A websocket client whose messages are taken one by one.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import WebSocket from 'ws';
import type { Owner } from './owner.js';

export type Received = { readonly data: Buffer; readonly isBinary: boolean };
export type Closed = { readonly code: number; readonly reason: string };

export class Subscriber {
	/** Resolves when the connection has ended, with 1006 if no close frame came. */
	readonly closed: Promise<Closed>;
	readonly #waiting: ((message: Received) => void)[] = [];
	readonly #arrived: Received[] = [];

	constructor(readonly ws: WebSocket) {
		ws.on('message', (data: Buffer, isBinary: boolean) => {
			const taker = this.#waiting.shift();
			if (taker) taker({ data, isBinary });
			else this.#arrived.push({ data, isBinary });
		});
		// A dropped connection may come as an error; it always ends in a close.
		ws.on('error', () => {});
		this.closed = new Promise((resolve) => ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })));
	}

	/** The next message, which may still have to arrive. Rejects if the connection ends first. */
	next(): Promise<Received> {
		const arrived = this.#arrived.shift();
		if (arrived) return Promise.resolve(arrived);
		return new Promise((resolve, reject) => {
			this.#waiting.push(resolve);
			void this.closed.then(({ code, reason }) => reject(new Error(`closed with ${code} ${reason} before the next message`)));
		});
	}

	/** The next message, which must be text. */
	async nextText(): Promise<string> {
		const { data, isBinary } = await this.next();
		if (isBinary) throw new Error('expected a text message, got a binary one');
		return data.toString();
	}

	async texts(count: number): Promise<string[]> {
		const texts: string[] = [];
		while (texts.length < count) texts.push(await this.nextText());
		return texts;
	}

	/** All texts until the connection ends, which must be with that code. */
	async textsUntilClosed(code: number): Promise<string[]> {
		const texts: string[] = [];
		try {
			for (;;) texts.push(await this.nextText());
		} catch {
			assert.equal((await this.closed).code, code);
		}
		return texts;
	}

	send(data: string | Buffer): void {
		this.ws.send(data, { binary: typeof data !== 'string' });
	}

	close(): Promise<Closed> {
		this.ws.close();
		return this.closed;
	}
}

/** Resolves when the server has handled all that the websocket has sent. */
export async function handled({ ws }: Subscriber): Promise<void> {
	ws.ping();
	await once(ws, 'pong');
}

/** Opens many websockets, on the paths that it is given, some at a time: the system would refuse them all at once. */
export async function subscribeMany(t: TestContext, count: number, url: (nth: number) => string): Promise<Subscriber[]> {
	const subscribers: Subscriber[] = [];
	while (subscribers.length < count) {
		const next = Array.from({ length: Math.min(100, count - subscribers.length) }, (_, i) => url(subscribers.length + i));
		subscribers.push(...(await Promise.all(next.map((address) => subscribe(t, address)))));
	}
	return subscribers;
}

/**
 * Resolves when all are closed; rejects if that was not evenly over about that time. Judges loosely, because this process
 * sees them closed only when it gets to run.
 */
export async function closeEvenly(subscribers: readonly Subscriber[], overMs: number): Promise<void> {
	const times = await Promise.all(subscribers.map(({ closed }) => closed.then(() => performance.now())));
	const [first, last] = [Math.min(...times), Math.max(...times)];
	assert.ok(last - first > overMs * 0.6, `all within ${last - first} ms`);
	for (let quarter = 0; quarter < 4; quarter++) {
		const [from, to] = [quarter, quarter + 1].map((n) => first + ((last - first) * n) / 4) as [number, number];
		const share = times.filter((time) => time >= from && time <= to).length / times.length;
		assert.ok(share > 0.05 && share < 0.6, `a share of ${share} in quarter ${quarter} of ${last - first} ms`);
	}
}

/**
 * Opens a websocket (ws://host/path, wss://…, or ws+unix:/socket:/path), which the test's end terminates.
 * Resolves when it is subscribed. The path goes out as it is, in UTF-8.
 */
export async function subscribe(
	t: Owner,
	url: string,
	options: WebSocket.ClientOptions = {},
	protocols: string[] = [],
): Promise<Subscriber> {
	const [, origin = '', path = ''] = /^(wss?:\/\/[^/]+|ws\+unix:[^:]+:)(\/.*)$/.exec(url) ?? [];
	const ws = new WebSocket(`${origin}/`, protocols, {
		...options,
		// The client itself would normalise the path.
		finishRequest: (request) => {
			request.path = Buffer.from(path).toString('latin1');
			request.end();
		},
	});
	t.after(() => ws.terminate());
	const subscriber = new Subscriber(ws);
	await once(ws, 'open');
	return subscriber;
}
