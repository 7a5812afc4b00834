// Connections that publish by POST and PUT, with a length or in chunks, each one message after another.

import type { Target } from '#bench/load/job.js';
import { openPoster, type Poster } from '#bench/load/post.js';
import type { Random } from '../../support/random.js';

type Request = { readonly bytes: Buffer; readonly answered: () => void };

/** The server closes connections that rest for about 10 seconds: one that has rested for half of that is used no more. */
const restMsMax = 5_000;

export class Posters {
	#idle: { readonly poster: Poster; readonly sinceMs: number }[] = [];
	readonly #waiting: Request[] = [];
	readonly #all = new Set<Poster>();
	#opening = 0;

	constructor(
		private readonly target: Target,
		private readonly count: number,
		private readonly random: Random,
		private readonly fail: (error: Error) => void,
		private readonly isOperator = false,
	) {}

	/** Resolves when the server has answered that it is published. */
	publish(path: string, payload: Buffer, isBinary: boolean, more = ''): Promise<void> {
		const method = this.random.below(4) === 0 ? 'PUT' : 'POST';
		const target = this.isOperator ? `/channels${path}` : path;
		return this.send(requestOf(this.random, method, target, payload, isBinary, more));
	}

	/** Sends a request. Resolves when it has been answered with success. */
	send(bytes: Buffer): Promise<void> {
		return new Promise((answered) => {
			this.#waiting.push({ bytes, answered });
			this.#next();
		});
	}

	#next(): void {
		const now = performance.now();
		for (const { poster, sinceMs } of this.#idle) if (now - sinceMs > restMsMax) this.#close(poster);
		const [[rested], [request]] = [this.#idle, this.#waiting];
		if (request === undefined) return;
		if (rested === undefined) {
			if (this.#all.size + this.#opening < this.count) this.#open();
			return;
		}
		const { poster } = rested;
		this.#idle.shift();
		this.#waiting.shift();
		poster.onAnswer = () => {
			this.#rests(poster);
			request.answered();
		};
		poster.socket.write(request.bytes);
	}

	#open(): void {
		this.#opening++;
		openPoster(this.target)
			.then((poster) => {
				poster.onGone = (why) => {
					if (this.#idle.some((other) => other.poster === poster)) this.#close(poster);
					else if (this.#all.has(poster)) this.fail(new Error(why));
				};
				this.#all.add(poster);
				this.#rests(poster);
			}, this.fail)
			.finally(() => this.#opening--);
	}

	#rests(poster: Poster): void {
		this.#idle.push({ poster, sinceMs: performance.now() });
		this.#next();
	}

	#close(poster: Poster): void {
		this.#all.delete(poster);
		this.#idle = this.#idle.filter((other) => other.poster !== poster);
		poster.socket.destroy();
	}

	/** To be called when all has been answered. */
	end(): void {
		for (const poster of this.#all) this.#close(poster);
	}
}

/** The bytes of a request with that body; `more` has further lines of the head. */
export function requestOf(random: Random, method: string, path: string, body: Buffer, isBinary: boolean, more = ''): Buffer {
	const type = isBinary ? 'application/octet-stream' : 'text/plain';
	const isChunked = random.below(4) === 0;
	const length = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`;
	const head = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\n${more}${length}\r\n\r\n`);
	if (!isChunked) return Buffer.concat([head, body]);
	const cut = random.below(body.length);
	return Buffer.concat([head, ...[body.subarray(0, cut), body.subarray(cut)].map(chunk), Buffer.from('0\r\n\r\n')]);
}

function chunk(bytes: Buffer): Buffer {
	if (bytes.length === 0) return bytes;
	return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}
