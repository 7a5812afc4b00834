// HTTP requests as bytes over a socket, so that a test decides every one of them.
import { connect, type Socket } from 'node:net';

export type Answer = { readonly status: number; readonly headers: ReadonlyMap<string, string>; readonly body: string };

/** A connection. Its answers are taken one by one; `closed` gives all bytes that came, when the peer has ended it. */
export class RawConnection {
	readonly #socket: Socket;
	readonly closed: Promise<string>;
	#all = '';
	#unread = '';
	#isClosed = false;
	#wake: () => void = () => {};

	constructor(port: number) {
		this.#socket = connect(port, '127.0.0.1');
		this.#socket.setNoDelay(true);
		this.#socket.on('data', (data) => {
			this.#all += data.toString('latin1');
			this.#unread += data.toString('latin1');
			this.#wake();
		});
		// A reset is one way of closing.
		this.#socket.on('error', () => {});
		this.closed = new Promise((resolve) =>
			this.#socket.on('close', () => {
				this.#isClosed = true;
				this.#wake();
				resolve(this.#all);
			}),
		);
	}

	/** Resolves when the bytes have been handed to the system. */
	write(bytes: string | Buffer): Promise<void> {
		const data = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
		return new Promise((resolve) => this.#socket.write(data, () => resolve()));
	}

	/** The next answer. `hasBody` is false after a HEAD. Rejects if the connection ends first. */
	async answer(hasBody = true): Promise<Answer> {
		for (;;) {
			const answer = this.#parse(hasBody);
			if (answer !== undefined) return answer;
			if (this.#isClosed) throw new Error(`the connection was closed after ${JSON.stringify(this.#all)}`);
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	/** Waits until that text has come. */
	async arrived(text: string): Promise<void> {
		while (!this.#all.includes(text)) {
			if (this.#isClosed) throw new Error(`the connection was closed after ${JSON.stringify(this.#all)}`);
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	end(): void {
		this.#socket.destroy();
	}

	#parse(hasBody: boolean): Answer | undefined {
		const headEnd = this.#unread.indexOf('\r\n\r\n');
		if (headEnd < 0) return undefined;
		const [statusLine = '', ...lines] = this.#unread.slice(0, headEnd).split('\r\n');
		const headers = new Map(
			lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
		);
		const bodyStart = headEnd + 4;
		const bodyEnd = bodyStart + (hasBody ? Number(headers.get('content-length') ?? 0) : 0);
		if (this.#unread.length < bodyEnd) return undefined;
		const body = Buffer.from(this.#unread.slice(bodyStart, bodyEnd), 'latin1').toString();
		this.#unread = this.#unread.slice(bodyEnd);
		return { status: Number(statusLine.split(' ')[1]), headers, body };
	}
}

export type Request = {
	readonly method?: string;
	readonly path?: string;
	/** A field with several values is sent once for each. */
	readonly headers?: Record<string, string | readonly string[]>;
	readonly body?: string | Buffer;
};

/** Sends one request over a connection of its own. The path goes out as it is, in UTF-8. */
export async function request(port: number, { method = 'GET', path = '/', headers = {}, body }: Request): Promise<Answer> {
	const connection = new RawConnection(port);
	const payload = body === undefined ? undefined : Buffer.from(body);
	const lines = Object.entries({
		Host: `127.0.0.1:${port}`,
		...(payload && { 'Content-Length': String(payload.length) }),
		...headers,
	}).flatMap(([name, values]) => [values].flat().map((value) => `${name}: ${value}\r\n`));
	await connection.write(
		Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), payload ?? Buffer.alloc(0)]),
	);
	try {
		return await connection.answer(method !== 'HEAD');
	} finally {
		connection.end();
	}
}

/** Publishes by POST and gives the answer. */
export function post(port: number, path: string, body: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
	return request(port, { method: 'POST', path, body, headers });
}

/** The header fields of a complete websocket handshake. */
export const handshakeHeaders = {
	Upgrade: 'websocket',
	Connection: 'Upgrade',
	'Sec-WebSocket-Version': '13',
	'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
