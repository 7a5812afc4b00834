// A subscriber on a raw socket: the handshake, then every byte as it comes. Checks nothing of what it carries.
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Dechunker } from './chunks.js';
import type { Dialect, Wrapping } from './dialect.js';
import type { Target } from './job.js';

export type Connection = {
	readonly socket: Socket;
	/** Called with the stream's bytes, valid until it returns. */
	onBytes: (bytes: Buffer) => void;
	/** What came before `onBytes` was set. */
	early: Buffer;
	/** Called once when the server has closed or the connection is broken. */
	onGone: (why: string) => void;
};

// Every read lands here, and is looked at before the next: no allocation per read.
const readBuffer = Buffer.allocUnsafe(262_144);

/** Opens a TCP or TLS connection; `onBytes` may only look at the bytes until it returns. */
export function openSocket(target: Target, onBytes: (bytes: Buffer) => void): Socket {
	const { host, port } = target;
	if (target.isTls) {
		// The certificate is the benchmark's own, and whom it speaks to is not in question.
		const socket = connectTls({ host, port, rejectUnauthorized: false });
		socket.setNoDelay(true);
		return socket.on('data', onBytes);
	}
	const onread = {
		buffer: readBuffer,
		callback(bytes: number) {
			onBytes(readBuffer.subarray(0, bytes));
			return true;
		},
	};
	return connectPlain({ host, port, noDelay: true, onread });
}

export function handshake(target: Target, path: string, subprotocol?: string): string {
	const lines = [
		`GET ${target.pathPrefix}${path} HTTP/1.1`,
		`Host: ${target.host}:${target.port}`,
		'Upgrade: websocket',
		'Connection: Upgrade',
		'Sec-WebSocket-Version: 13',
		'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
	];
	if (subprotocol !== undefined) lines.push(`Sec-WebSocket-Protocol: ${subprotocol}`);
	return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Opens a connection and subscribes it to a path, or with some dialects to several. Rejects if the server refuses or closes. */
export function subscribe(target: Target, dialect: Dialect, ...paths: readonly string[]): Promise<Connection> {
	return new Promise((resolve, reject) => {
		let received: Buffer | undefined = Buffer.alloc(0);
		let unwrap: Unwrap | undefined;
		const connection: Connection = {
			socket: openSocket(target, (bytes) => {
				if (received === undefined) pass(bytes);
				else consent(bytes);
			}),
			onBytes(bytes) {
				connection.early = Buffer.concat([connection.early, bytes]);
			},
			early: Buffer.alloc(0),
			onGone: (why) => reject(new Error(why)),
		};
		const { socket } = connection;
		let isGone = false;
		const gone = (why: string) => {
			if (!isGone) connection.onGone(why);
			isGone = true;
		};
		const closed = () => {
			if (received === undefined) gone('closed by the server');
			else gone(`${paths.join(' ')}: closed by the server ${unwrap === undefined ? 'before' : 'right after'} its answer`);
		};
		socket.on('error', (error) => gone(error.message));
		socket.on('close', closed);
		socket.on('end', closed);
		socket.write(dialect.request(target, paths[0] as string));

		function pass(bytes: Buffer): void {
			if (unwrap?.(bytes, connection.onBytes) === false) gone('the server ended the stream');
		}

		/** Until the server has agreed: first by the head of its answer, then to the subscription. */
		function consent(bytes: Buffer): void {
			let rest = bytes;
			if (unwrap === undefined) {
				received = Buffer.concat([received as Buffer, rest]);
				const end = received.indexOf('\r\n\r\n');
				if (end < 0) return;
				const wrapping = dialect.wrapping(received.toString('latin1', 0, end));
				if (wrapping === undefined) {
					gone(`the handshake was answered with "${received.toString('latin1', 0, received.indexOf('\r'))}"`);
					socket.destroy();
					return;
				}
				unwrap = unwrapper(wrapping);
				rest = Buffer.from(received.subarray(end + 4));
				received = Buffer.alloc(0);
				const request = dialect.subscribe(...paths.map((path) => `${target.pathPrefix}${path}`));
				if (request !== undefined) socket.write(request);
			}
			const isOpen = unwrap(rest, (inner) => {
				received = Buffer.concat([received as Buffer, inner]);
			});
			if (!isOpen) gone('the server ended the stream');
			const consented = dialect.consentBytes(received as Buffer);
			if (consented === undefined) return;
			connection.early = (received as Buffer).subarray(consented);
			received = undefined;
			resolve(connection);
		}
	});
}

/** Hands on what is inside the wrapping; the bytes may be overwritten. Returns whether more may come. */
type Unwrap = (bytes: Buffer, onInner: (inner: Buffer) => void) => boolean;

function unwrapper(wrapping: Wrapping): Unwrap {
	if (wrapping === 'chunks') {
		const chunks = new Dechunker();
		return (bytes, onInner) => chunks.read(bytes, onInner);
	}
	const frames = wrapping === 'frames' ? new Deframer() : undefined;
	return (bytes, onInner) => {
		if (frames === undefined) onInner(bytes);
		else frames.read(bytes, onInner);
		return true;
	};
}

/** Takes the frames off a server's stream and hands on what is inside, in pieces as they come. */
class Deframer {
	#header = Buffer.alloc(0);
	#payloadLeft = 0;

	read(bytes: Buffer, onPayload: (bytes: Buffer) => void): void {
		let at = 0;
		while (at < bytes.length) {
			if (this.#payloadLeft > 0) {
				const piece = bytes.subarray(at, at + this.#payloadLeft);
				at += piece.length;
				this.#payloadLeft -= piece.length;
				onPayload(piece);
				continue;
			}
			// A header is 2, 4 or 10 bytes from a server, which does not mask (RFC 6455, section 5.2).
			const taken = this.#header.length;
			const header = taken === 0 ? bytes.subarray(at, at + 10) : Buffer.concat([this.#header, bytes.subarray(at, at + 10)]);
			const length = payloadLength(header);
			if (length === undefined) {
				this.#header = Buffer.from(header);
				return;
			}
			this.#header = Buffer.alloc(0);
			this.#payloadLeft = length.payloadBytes;
			at += length.headerBytes - taken;
		}
	}
}

function payloadLength(header: Buffer): { headerBytes: number; payloadBytes: number } | undefined {
	if (header.length < 2) return undefined;
	const short = header[1] as number;
	if (short < 126) return { headerBytes: 2, payloadBytes: short };
	if (short === 126) return header.length < 4 ? undefined : { headerBytes: 4, payloadBytes: header.readUInt16BE(2) };
	return header.length < 10 ? undefined : { headerBytes: 10, payloadBytes: Number(header.readBigUInt64BE(2)) };
}

/** Runs `count` tasks, at most `atOnce` at a time, and gives their results in order. */
export async function each<Result>(count: number, atOnce: number, task: (index: number) => Promise<Result>): Promise<Result[]> {
	const results: Result[] = new Array(count);
	let next = 0;
	const worker = async () => {
		while (next < count) {
			const index = next++;
			results[index] = await task(index);
		}
	};
	await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
	return results;
}
