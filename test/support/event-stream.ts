// A client of event streams, as the standard has it (WHATWG HTML, section 9.2.6, "Interpreting an event stream").
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage, type RequestOptions } from 'node:http';
import { get as getOverTls, type RequestOptions as TlsOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';

export type StreamEvent = { readonly type: string; readonly data: string };

/** Interprets a stream, however it is cut. */
export class EventParser {
	readonly #decoder = new TextDecoder();
	#rest = '';
	#data = '';
	#type = '';
	/** The last `retry` field, in milliseconds. */
	retryMs: number | undefined;
	comments = 0;

	constructor(readonly onEvent: (event: StreamEvent) => void) {}

	feed(bytes: Uint8Array): void {
		this.#rest += this.#decoder.decode(bytes, { stream: true });
		// A CR at the end may be the first half of a CRLF.
		for (let end = /\r\n|\n|\r(?!$)/.exec(this.#rest); end !== null; end = /\r\n|\n|\r(?!$)/.exec(this.#rest)) {
			this.#line(this.#rest.slice(0, end.index));
			this.#rest = this.#rest.slice(end.index + end[0].length);
		}
	}

	#line(line: string): void {
		if (line === '') {
			if (this.#data !== '') this.onEvent({ type: this.#type || 'message', data: this.#data.slice(0, -1) });
			this.#data = '';
			this.#type = '';
			return;
		}
		const [, field = '', value = ''] = /^([^:]*)(?:: ?([\s\S]*))?$/.exec(line) ?? [];
		if (line.startsWith(':')) this.comments++;
		else if (field === 'data') this.#data += `${value}\n`;
		else if (field === 'event') this.#type = value;
		else if (field === 'retry') this.retryMs = Number(value);
		else assert.fail(`an unexpected field: ${line.slice(0, 100)}`);
	}
}

export class StreamSubscriber {
	/** How it ended: `ended` after its last chunk, `cut` without. */
	readonly closed: Promise<'ended' | 'cut'>;
	readonly parser: EventParser;
	readonly #arrived: StreamEvent[] = [];
	#wake: () => void = () => {};
	#isClosed = false;

	constructor(readonly response: IncomingMessage) {
		this.parser = new EventParser((event) => {
			this.#arrived.push(event);
			this.#wake();
		});
		response.on('data', (bytes) => {
			this.parser.feed(bytes);
			this.#wake();
		});
		response.on('error', () => {});
		this.closed = new Promise((resolve) =>
			response.on('close', () => {
				this.#isClosed = true;
				this.#wake();
				resolve(response.complete ? 'ended' : 'cut');
			}),
		);
	}

	get socket(): Socket {
		return this.response.socket;
	}

	/** The next event, which may still have to arrive. Rejects if the stream ends first. */
	async next(): Promise<StreamEvent> {
		for (;;) {
			const event = this.#arrived.shift();
			if (event !== undefined) return event;
			await this.#change();
		}
	}

	async texts(count: number): Promise<string[]> {
		const texts: string[] = [];
		while (texts.length < count) texts.push((await this.next()).data);
		return texts;
	}

	/** All texts until the stream ends. */
	async textsUntilClosed(): Promise<string[]> {
		await this.closed;
		return this.#arrived.splice(0).map(({ data }) => data);
	}

	/** Resolves when so many comments have come. */
	async comments(count: number): Promise<void> {
		while (this.parser.comments < count) await this.#change();
	}

	async #change(): Promise<void> {
		if (this.#isClosed) throw new Error('the stream ended before');
		await new Promise<void>((resolve) => {
			this.#wake = resolve;
		});
	}
}

export const acceptsStream = { Accept: 'text/event-stream' };
/** A request for the stream of /room, by its bytes. */
export const streamRequest = 'GET /room HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n';

/** Opens a stream, which the test's end closes. Resolves when it is subscribed. */
export async function openStream(
	t: TestContext,
	target: { readonly port: number } | { readonly socketPath: string },
	path: string,
	headers: Record<string, string> = {},
): Promise<StreamSubscriber> {
	return streamOf(t, get(optionsOf(target, path, headers)));
}

/** The same over TLS. */
export async function openStreamOverTls(
	t: TestContext,
	target: TlsOptions,
	path: string,
	headers: Record<string, string> = {},
): Promise<StreamSubscriber> {
	return streamOf(t, getOverTls({ ...target, ...optionsOf({ port: Number(target.port) }, path, headers) }));
}

function optionsOf(
	target: { readonly port: number } | { readonly socketPath: string },
	path: string,
	headers: Record<string, string>,
): RequestOptions {
	return { host: '127.0.0.1', ...target, path, agent: false, headers: { ...acceptsStream, ...headers } };
}

async function streamOf(t: TestContext, request: ClientRequest): Promise<StreamSubscriber> {
	t.after(() => request.destroy());
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	assert.equal(response.statusCode, 200);
	assert.equal(response.headers['content-type'], 'text/event-stream');
	const stream = new StreamSubscriber(response);
	request.on('error', () => {});
	await stream.comments(1);
	return stream;
}
