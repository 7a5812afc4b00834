// A TLS connection whose records are changed on their way to the server.
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { pick } from './choices.js';
import type { Input } from './input.js';
import { mutateBytes } from './mutated-bytes.js';
import { type Played, play } from './play.js';

/** Passes bytes on in both directions. `change` may alter the bytes that are written. */
class Wire extends Duplex {
	readonly #socket: Socket;
	readonly #change: (bytes: Buffer) => Buffer;

	constructor(socket: Socket, change: (bytes: Buffer) => Buffer) {
		super();
		this.#socket = socket;
		this.#change = change;
		socket.setNoDelay(true);
		socket.on('data', (bytes) => this.push(bytes));
		socket.on('end', () => this.push(null));
		socket.on('error', () => {});
		socket.on('close', () => this.destroy());
		this.on('error', () => {});
	}

	override _read(): void {}

	override _write(bytes: Buffer, _: string, done: () => void): void {
		this.#socket.write(this.#change(bytes), () => done());
	}

	override _final(done: () => void): void {
		this.#socket.end(done);
	}

	override _destroy(_: Error | null, done: () => void): void {
		this.#socket.destroy();
		done();
	}
}

/** The first write is the ClientHello; the second ends the handshake, and what follows is the conversation. */
const writesMax = 5;

/** Plays an input over TLS, and changes one write of it, if the input is to be changed. */
export async function playTampered(socket: Socket, input: Input): Promise<Played> {
	const { random } = input;
	const changed = input.mutations === 0 ? -1 : random.below(writesMax);
	let write = 0;
	const wire = new Wire(socket, (bytes) => (write++ === changed ? changedRecord(input, bytes) : bytes));
	try {
		return await play(connectTls({ socket: wire, rejectUnauthorized: false }), input);
	} finally {
		// Closing TLS only ends what is below it, and the server may not answer that.
		socket.resetAndDestroy();
	}
}

/** Another type, version or length of the first record, or other bytes anywhere. */
function changedRecord({ random }: Input, bytes: Buffer): Buffer {
	if (random.below(2) === 0 || bytes.length < 5) return mutateBytes(random, bytes);
	const changed = Buffer.from(bytes);
	changed[pick(random, [0, 1, 2, 3, 4])] = random.below(256);
	return changed;
}
