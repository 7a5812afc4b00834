// A service of the application: records the requests that it gets, and answers as the test says.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

type ReceivedRequest = {
	readonly method: string | undefined;
	readonly path: string | undefined;
	readonly headers: IncomingHttpHeaders;
	readonly body: string;
	readonly arrivedMs: number;
};

/** A status; no answer at all; the end of the connection; or an answer that waits for the test. */
export type ReceiverAnswer = number | 'hang' | 'cut' | Promise<number>;

export type ReceivedEvent = Record<string, unknown> & { readonly event: string; readonly path: string };

export class Receiver {
	readonly requests: ReceivedRequest[] = [];
	/** The answers to the next requests, in order. When none is left, requests get `otherwise`. */
	readonly answers: ReceiverAnswer[] = [];
	otherwise: ReceiverAnswer = 204;
	/** How many requests were without an answer at the same time, at the most. */
	atOnceMax = 0;
	readonly #events: ReceivedEvent[] = [];
	#atOnce = 0;
	#wake: (() => void)[] = [];

	constructor(readonly server: Server) {
		server.on('request', async (req, res) => {
			this.atOnceMax = Math.max(this.atOnceMax, ++this.#atOnce);
			res.once('close', () => this.#atOnce--);
			let body = '';
			for await (const piece of req) body += piece;
			this.requests.push({ method: req.method, path: req.url, headers: req.headers, body, arrivedMs: performance.now() });
			const answer = this.answers.shift() ?? this.otherwise;
			this.#look();
			if (answer === 'cut') req.socket.destroy();
			if (answer === 'cut' || answer === 'hang') return;
			const status = await answer;
			// Before the answer: a test that sees that the batch was accepted may take the events at once.
			if (status === 204 && body !== '') this.#events.push(...JSON.parse(body));
			res.writeHead(status).end();
			this.#look();
		});
	}

	get url(): string {
		return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hook?key=1`;
	}

	/** Waits until so many requests have come, and gives them. */
	async received(count: number): Promise<ReceivedRequest[]> {
		await this.#until(() => this.requests.length >= count);
		return this.requests;
	}

	/** Takes the next events that were answered with 204, which may still have to come. */
	async next(count: number): Promise<ReceivedEvent[]> {
		await this.#until(() => this.#events.length >= count);
		return this.#events.splice(0, count);
	}

	/** Takes the events up to the one that is called so. */
	async nextUntil(event: string): Promise<ReceivedEvent[]> {
		const found = () => this.#events.findIndex((candidate) => candidate.event === event) + 1;
		await this.#until(() => found() > 0);
		return this.#events.splice(0, found());
	}

	/** Takes the events that are there. */
	rest(): ReceivedEvent[] {
		return this.#events.splice(0);
	}

	#look(): void {
		for (const wake of this.#wake.splice(0)) wake();
	}

	async #until(isThere: () => boolean): Promise<void> {
		while (!isThere()) await new Promise<void>((resolve) => this.#wake.push(resolve));
	}
}

/** Starts a receiver, which the test's end closes. */
export async function startReceiver(t: TestContext): Promise<Receiver> {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.after(() => {
		server.closeAllConnections();
		server.close();
	});
	return new Receiver(server);
}

/** The URL of a service that refuses every connection. */
export async function deadUrl(): Promise<string> {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	const { port } = server.address() as AddressInfo;
	server.close();
	await once(server, 'close');
	return `http://127.0.0.1:${port}/`;
}

/** The name and the path of each event, in order. */
export function namesOf(events: readonly ReceivedEvent[]): string[] {
	assert.ok(events.length > 0);
	return events.map(({ event, path }) => `${event} ${path}`);
}
