// Takes the chunks off the body of a response (RFC 9112, section 7.1). Knows no chunk extensions and no trailers.

const lf = 0x0a;
const cr = 0x0d;

/** One for each response. It keeps its place between two reads. */
export class Dechunker {
	/** How much of the current chunk's data is to come. */
	#dataLeft = 0;
	/** The size of the next chunk, as far as its digits have come; undefined before the first digit. */
	#size: number | undefined;

	/**
	 * Hands on what is inside the chunks, as one piece, if there is anything. The bytes are overwritten: data of later chunks moves
	 * up to that of the first. Returns whether the body goes on.
	 */
	read(bytes: Buffer, onData: (data: Buffer) => void): boolean {
		let start = 0;
		let end = 0;
		let isOpen = true;
		for (let at = 0; at < bytes.length && isOpen; ) {
			if (this.#dataLeft > 0) {
				const length = Math.min(this.#dataLeft, bytes.length - at);
				if (start === end) start = end = at;
				else bytes.copyWithin(end, at, at + length);
				end += length;
				at += length;
				this.#dataLeft -= length;
			} else {
				isOpen = this.#readSize(bytes[at++] as number);
			}
		}
		if (end > start) onData(bytes.subarray(start, end));
		return isOpen;
	}

	/** Takes one byte between two chunks: the end of one, the size of the next. */
	#readSize(byte: number): boolean {
		if (byte === cr) return true;
		if (byte !== lf) {
			this.#size = 16 * (this.#size ?? 0) + Number.parseInt(String.fromCharCode(byte), 16);
			return true;
		}
		// The line end after a chunk's data has no digits before it.
		if (this.#size === undefined) return true;
		// A byte that is no digit gives NaN: the body ends there too.
		const isOpen = this.#size > 0;
		this.#dataLeft = isOpen ? this.#size : 0;
		this.#size = undefined;
		return isOpen;
	}
}
