// A subscriber for gap-fuzz.ts: it rests at random, and sends random frames, some of them a byte at a time.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import WebSocket from 'ws';
import { opcodes } from '../../support/opcodes.js';
import type { Random } from '../../support/random.js';

const unsentBytesMax = 65_536;
const framesAtOnceMax = 32;

export class RandomReader {
	readonly #ws: WebSocket;
	readonly #random: Random;
	/** Bytes of frames that are still to be sent. */
	#unsent = Buffer.alloc(0);
	/** How many messages it has published. */
	published = 0;
	/** Resolves when the connection has ended, with the code of the close frame, or 1006. */
	readonly closed: Promise<number>;

	constructor(url: string, random: Random, onText: (text: string) => void) {
		this.#random = random;
		// All that is sent is sent by #write, so that nothing gets into the middle of a frame.
		this.#ws = new WebSocket(url, { rejectUnauthorized: false, autoPong: false });
		this.#ws.on('error', () => {});
		this.#ws.on('message', (data) => onText(String(data)));
		this.closed = once(this.#ws, 'close').then(([code]) => code);
	}

	async opened(): Promise<void> {
		await once(this.#ws, 'open');
	}

	get isOpen(): boolean {
		return this.#ws.readyState === WebSocket.OPEN;
	}

	rest(ms: number): void {
		if (!this.isOpen || this.#ws.isPaused) return;
		this.#ws.pause();
		setTimeout(() => this.#ws.resume(), ms);
	}

	/** Sends these texts as messages. */
	publish(texts: readonly string[]): void {
		this.published += texts.length;
		this.#send(texts.map((text) => this.#message(text)));
	}

	/** Sends a few frames that publish nothing, or a few bytes of one. */
	chatter(): void {
		if (this.#unsent.length > 0) {
			this.#write(1 + this.#random.below(3));
			return;
		}
		const payload = 'x'.repeat(this.#random.below(126));
		const frames = {
			ping: frame(opcodes.ping, payload),
			pong: frame(opcodes.pong, payload),
			keepalive: frame(opcodes.text, ''),
			fragments: this.#message(''),
		};
		const kinds = Object.values(frames);
		const kind = kinds[this.#random.below(kinds.length)] ?? frames.ping;
		this.#send(Array(1 + this.#random.below(framesAtOnceMax)).fill(kind));
	}

	end(): void {
		this.#ws.terminate();
	}

	/** A message in one to four frames, with pings and pongs between them. */
	#message(text: string): Buffer {
		const cuts = Array.from({ length: Math.max(0, this.#random.below(10) - 6) }, () => this.#random.below(text.length + 1));
		const ends = [...cuts.sort((one, other) => one - other), text.length];
		let start = 0;
		const frames = ends.map((end, i) => {
			const opcode = i === 0 ? opcodes.text : opcodes.continuation;
			const part = frame(opcode, text.slice(start, end), i === ends.length - 1);
			start = end;
			return i === 0 ? part : Buffer.concat([frame(this.#random.below(2) === 0 ? opcodes.ping : opcodes.pong, 'x'), part]);
		});
		return Buffer.concat(frames);
	}

	#send(frames: readonly Buffer[]): void {
		this.#unsent = Buffer.concat([this.#unsent, ...frames]);
		// Else a byte at a time, by the next calls.
		if (this.#random.below(4) > 0) this.#write(this.#unsent.length);
	}

	#write(bytes: number): void {
		const { _socket: socket } = this.#ws as unknown as { _socket: Socket };
		if (!this.isOpen || socket.writableLength > unsentBytesMax) return;
		socket.write(this.#unsent.subarray(0, bytes));
		this.#unsent = this.#unsent.subarray(bytes);
	}
}

/** A masked frame, its mask all zeroes. */
function frame(opcode: number, payload: string, isFinal = true): Buffer {
	const { length } = payload;
	const lengthBytes = length < 126 ? [0x80 | length] : [0x80 | 126, length >> 8, length & 0xff];
	return Buffer.from([(isFinal ? 0x80 : 0) | opcode, ...lengthBytes, 0, 0, 0, 0, ...Buffer.from(payload)]);
}
