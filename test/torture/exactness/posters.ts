// Connections that publish by POST and PUT, with a length or in chunks, each one message after another.

import type { Target } from '#bench/load/job.js';
import { openPoster, type Poster } from '#bench/load/post.js';
import type { Random } from '../../support/random.js';

type Request = { readonly bytes: Buffer; readonly answered: () => void };

export class Posters {
	readonly #idle: Poster[];
	readonly #waiting: Request[] = [];
	readonly #all: readonly Poster[];
	#isOver = false;

	private constructor(
		posters: readonly Poster[],
		private readonly random: Random,
		private readonly isOperator: boolean,
		fail: (error: Error) => void,
	) {
		this.#all = posters;
		this.#idle = [...posters];
		for (const poster of posters)
			poster.onGone = (why) => {
				const place = this.#idle.indexOf(poster);
				// The server closes connections that rest for long.
				if (place >= 0) this.#idle.splice(place, 1);
				else if (!this.#isOver) fail(new Error(why));
			};
	}

	static async open(
		target: Target,
		count: number,
		random: Random,
		fail: (error: Error) => void,
		{ isOperator = false } = {},
	): Promise<Posters> {
		return new Posters(await Promise.all(Array.from({ length: count }, () => openPoster(target))), random, isOperator, fail);
	}

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
		// The one that has rested longest: the server closes connections that rest for long.
		const [[poster], [request]] = [this.#idle, this.#waiting];
		if (poster === undefined || request === undefined) return;
		this.#idle.shift();
		this.#waiting.shift();
		poster.onAnswer = () => {
			this.#idle.push(poster);
			request.answered();
			this.#next();
		};
		poster.socket.write(request.bytes);
	}

	async end(): Promise<void> {
		this.#isOver = true;
		await Promise.all(
			this.#all.map(
				({ socket }) =>
					new Promise((resolve) => {
						socket.on('close', resolve).destroy();
					}),
			),
		);
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
