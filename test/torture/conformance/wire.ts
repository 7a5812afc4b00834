// A connection as bytes: a row sends exact bytes in pieces, and sees the bytes that come back, and how the connection ends.
import { once } from 'node:events';
import type { Socket } from 'node:net';

/** Bytes, or a text that has one character for each byte. */
export type Piece = string | Buffer;

export class Wire {
	/** All bytes that have come. */
	received = Buffer.alloc(0);
	/** How the peer has ended its side; undefined while it is open. */
	end: 'FIN' | 'reset' | undefined;
	/** Resolves then. */
	readonly ended: Promise<'FIN' | 'reset'>;
	#wake: () => void = () => {};
	#taken = 0;

	/** The socket has to stay open on this side when the peer ends its own, so that the peer is seen to end it first. */
	constructor(
		readonly socket: Socket,
		/** Resolves when the server has read what was written, where that can be known. */
		readonly isRead: () => Promise<void>,
	) {
		socket.setNoDelay(true);
		socket.on('data', (data) => {
			this.received = Buffer.concat([this.received, data]);
			this.#wake();
		});
		this.ended = new Promise((resolve) => {
			const endsWith = (end: 'FIN' | 'reset') => {
				this.end ??= end;
				this.#wake();
				resolve(this.end);
			};
			socket.on('end', () => endsWith('FIN'));
			socket.on('error', () => endsWith('reset'));
			socket.on('close', () => endsWith('reset'));
		});
	}

	/** Sends the bytes of these pieces. On the direct way, the server reads each by itself. */
	async send(...pieces: readonly Piece[]): Promise<void> {
		for (const [i, piece] of pieces.entries()) {
			if (i > 0) await this.isRead();
			const bytes = typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
			// An error is no concern here: the row sees the end of the connection.
			await new Promise<void>((resolve) => this.socket.write(bytes, () => resolve()));
		}
	}

	/** What has come and is not taken yet. */
	get untaken(): Buffer {
		return this.received.subarray(this.#taken);
	}

	/** Waits until `parse` finds something at the beginning of what is not taken yet, and takes it. Gives undefined if the peer ends first. */
	async take<Found>(parse: (untaken: Buffer) => { found: Found; length: number } | undefined): Promise<Found | undefined> {
		for (;;) {
			const parsed = parse(this.untaken);
			if (parsed !== undefined) {
				this.#taken += parsed.length;
				return parsed.found;
			}
			if (this.end !== undefined) return undefined;
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	/** Ends this side with a FIN. */
	finish(): void {
		this.socket.end();
	}

	/** Resolves when the connection is gone on this side. */
	async destroy(): Promise<void> {
		if (this.socket.closed) return;
		const closed = once(this.socket, 'close');
		this.socket.destroy();
		await closed;
	}
}
