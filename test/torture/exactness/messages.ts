// The messages of an exactness test. Each is derived from its channel, its publisher and its number, so that a message that is changed,
// or on a wrong channel, is recognised. Knows no network.

export type Shape = { readonly bytes: number; readonly isBinary: boolean };

/**
 * A message begins with `channel publisher number|`. A shorter one has only a first byte that tells the publisher, and its number
 * modulo 8: its place in the order of the channel tells the rest.
 */
export const headBytes = 15;
export const publishersMax = 8;
const shortNumbers = 8;
const shortFirst = 0x30;
export const channelsMax = 10_000;

/** Text comes in cells of this length, each of whole characters. */
const cellBytes = 16;
const cells = 4_096;
const characters = ['a', 'z', ' ', '"', '\\', '<', '\n', 'é', 'ß', '世', '☃', '\u{1f600}'].map((text) => Buffer.from(text));
const ascii = Buffer.from('abcdefghijklmnopqrstuvwxyz0123456789'.repeat(4));

/** Stands for a message: its publisher and number, or a negative number for a short message. Equal messages have equal tokens. */
export type Token = number;

export function tokenOf(publisher: number, number: number, { bytes, isBinary }: Shape): Token {
	if (bytes >= headBytes) return number * publishersMax + publisher;
	return -(1 + (bytes * 256 + firstByteOf(publisher, number)) * 2 + Number(isBinary));
}

export function isShort(token: Token): boolean {
	return token < 0;
}

export function publisherOf(token: Token): number {
	return isShort(token) ? Math.floor((firstByteIn(token) - shortFirst) / shortNumbers) : token % publishersMax;
}

/** The number of a message, or for a short one the number modulo 8. */
export function numberOf(token: Token): number {
	return isShort(token) ? (firstByteIn(token) - shortFirst) % shortNumbers : Math.floor(token / publishersMax);
}

function firstByteOf(publisher: number, number: number): number {
	return shortFirst + publisher * shortNumbers + (number % shortNumbers);
}

function firstByteIn(token: Token): number {
	return ((-token - 1) >> 1) & 0xff;
}

export class Messages {
	readonly #text: Buffer;
	readonly #binary: Buffer;

	/** `below` gives random whole numbers. */
	constructor(below: (limit: number) => number, bytesMax: number) {
		this.#text = Buffer.alloc(cells * cellBytes + Math.ceil(bytesMax / cellBytes) * cellBytes);
		for (let at = 0; at < this.#text.length; at += cellBytes) fillCell(this.#text.subarray(at, at + cellBytes), below);
		this.#binary = Buffer.alloc(cells * cellBytes + bytesMax);
		for (let at = 0; at < this.#binary.length; at++) this.#binary[at] = below(256);
	}

	write(channel: number, publisher: number, number: number, { bytes, isBinary }: Shape): Buffer {
		const payload = Buffer.allocUnsafe(bytes);
		if (bytes < headBytes) payload[0] = firstByteOf(publisher, number);
		else payload.write(headOf(channel, publisher, number), 'latin1');
		for (const [start, part] of this.#parts(channel, publisher, number, bytes, isBinary)) part.copy(payload, start);
		return payload;
	}

	/** The token of a message that is as it was written for this channel; for any other, a text that says what is wrong. */
	read(channel: number, payload: Buffer, isBinary: boolean): Token | string {
		const bytes = payload.length;
		if (bytes === 0) return 'an empty message';
		const isWhole = (publisher: number, number: number) =>
			this.#parts(channel, publisher, number, bytes, isBinary).every(
				([start, part]) => part.compare(payload, start, start + part.length) === 0,
			);
		if (bytes < headBytes) {
			const code = (payload[0] as number) - shortFirst;
			const [publisher, number] = [Math.floor(code / shortNumbers), code % shortNumbers];
			if (code < 0 || publisher >= publishersMax || !isWhole(publisher, number)) return corrupt(payload);
			return tokenOf(publisher, number, { bytes, isBinary });
		}
		const head = payload.toString('latin1', 0, headBytes);
		const [, from, publisher, number] = /^(\d{4}) (\d) (\d{7})\|$/.exec(head) ?? [];
		if (from === undefined) return corrupt(payload);
		if (Number(from) !== channel) return `crossed: "${head}" came on channel ${channel}`;
		if (!isWhole(Number(publisher), Number(number))) return corrupt(payload);
		return tokenOf(Number(publisher), Number(number), { bytes, isBinary });
	}

	/** The parts of a message after its beginning, each with its place in the message. */
	#parts(channel: number, publisher: number, number: number, bytes: number, isBinary: boolean): [start: number, part: Buffer][] {
		// Of a short message, the number is known only so far.
		const known = bytes < headBytes ? number % shortNumbers : number;
		const mixed = Math.imul(Math.imul(channel + 1, 0x9e3779b1) ^ (known * publishersMax + publisher), 0x85ebca6b) >>> 8;
		const start = bytes < headBytes ? 1 : headBytes;
		const rest = bytes - start;
		if (isBinary) return [[start, this.#binary.subarray(mixed % cells, (mixed % cells) + rest)]];
		const inCells = rest - (rest % cellBytes);
		const from = (mixed % cells) * cellBytes;
		return [
			[start, this.#text.subarray(from, from + inCells)],
			[start + inCells, ascii.subarray(mixed % 100, (mixed % 100) + (rest % cellBytes))],
		];
	}
}

function headOf(channel: number, publisher: number, number: number): string {
	return `${String(channel).padStart(4, '0')} ${publisher} ${String(number).padStart(7, '0')}|`;
}

function corrupt(payload: Buffer): string {
	return `corrupt: ${payload.length} bytes that begin with ${JSON.stringify(payload.toString('latin1', 0, 40))}`;
}

/** Whole characters, and blanks where no more fit. */
function fillCell(cell: Buffer, below: (limit: number) => number): void {
	cell.fill(' ');
	for (let at = 0; at < cell.length; ) {
		const character = characters[below(characters.length)] as Buffer;
		if (at + character.length > cell.length) return;
		at += character.copy(cell, at);
	}
}
