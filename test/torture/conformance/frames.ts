// Frames of RFC 6455, section 5.2, as bytes, right and wrong ones, and the names that the table gives to what comes back.
import { createHash } from 'node:crypto';
import type { Piece } from './wire.js';

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type Kind = keyof typeof opcodes;
type Shape = {
	/** Whether it is the last frame of its message. */
	readonly fin?: boolean;
	/** The three reserved bits: 4 is RSV1, 2 is RSV2, 1 is RSV3. */
	readonly rsv?: number;
	/** Undefined for a frame without the mask bit, and without a mask. */
	readonly mask?: Buffer | undefined;
	/** How many bits the length takes: as few as possible if not given. */
	readonly lengthBits?: 7 | 16 | 64;
	/** The length that the frame tells, if it is not that of the payload. */
	readonly length?: bigint;
};

/** The mask of the example in RFC 6455, section 5.7. */
export const usualMask = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

export function bytesOf(piece: Piece): Buffer {
	return typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece;
}

/** Latin1, as the payload of a frame. */
export function utf8(text: string): string {
	return Buffer.from(text).toString('latin1');
}

/** A frame of a client. The opcode is given by its name or, if it is reserved, by its number. */
export function frame(kind: Kind | number, payload: Piece = '', shape: Shape = {}): Buffer {
	const bytes = bytesOf(payload);
	const { fin = true, rsv = 0, length = BigInt(bytes.length) } = shape;
	const mask = 'mask' in shape ? shape.mask : usualMask;
	const bits = shape.lengthBits ?? (length < 126n ? 7 : length < 65_536n ? 16 : 64);
	const size = Buffer.alloc(1 + (bits === 16 ? 2 : bits === 64 ? 8 : 0));
	size[0] = (mask === undefined ? 0 : 0x80) | (bits === 7 ? Number(length) : bits === 16 ? 126 : 127);
	if (bits === 16) size.writeUInt16BE(Number(length), 1);
	if (bits === 64) size.writeBigUInt64BE(length, 1);
	const first = (fin ? 0x80 : 0) | (rsv << 4) | (typeof kind === 'number' ? kind : opcodes[kind]);
	return Buffer.concat([Buffer.from([first]), size, mask ?? Buffer.alloc(0), masked(bytes, mask)]);
}

function masked(bytes: Buffer, mask: Buffer | undefined): Buffer {
	if (mask === undefined) return bytes;
	return Buffer.from(bytes.map((byte, i) => byte ^ (mask[i % 4] ?? 0)));
}

/** A message in fragments: a first frame of this kind, and continuations. */
export function fragments(kind: 'text' | 'binary', payloads: readonly Piece[]): Buffer[] {
	return payloads.map((payload, i) => frame(i === 0 ? kind : 'continuation', payload, { fin: i === payloads.length - 1 }));
}

/** A close frame with a code and a reason of bytes. */
export function closeFrame(code: number, reason: Piece = ''): Buffer {
	return frame('close', closePayload(code, reason));
}

export function closePayload(code: number, reason: Piece = ''): Buffer {
	return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), bytesOf(reason)]);
}

/** A frame that comes back, or the end of the connection. */
export type Item = string;
export const end: Item = 'end';
export const text = (payload: Piece): Item => item('text', payload);
export const binary = (payload: Piece): Item => item('binary', payload);
export const pong = (payload: Piece = ''): Item => item('pong', payload);
export const close = (code?: number, reason: Piece = ''): Item =>
	item('close', code === undefined ? '' : closePayload(code, reason));

function item(kind: string, payload: Piece): Item {
	const bytes = bytesOf(payload);
	const [code, reason] = [bytes.subarray(0, 2), bytes.subarray(2)];
	if (kind === 'close' && bytes.length > 1) return `close ${code.readUInt16BE()} ${reason.toString('latin1')}`;
	if (bytes.length < 200) return `${kind} ${bytes.toString('latin1')}`;
	return `${kind} of ${bytes.length} bytes, ${createHash('sha1').update(bytes).digest('hex')}`;
}

/** How many frames have come back, and how many of them break a rule for servers. */
export const tally = { frames: 0, malformed: 0 };

/** The first frame of what a server has sent. Its name tells if it breaks a rule for servers: masked, a reserved bit, a fragment, a length in too many bits. */
export function parseFrame(bytes: Buffer): { found: Item; length: number } | undefined {
	if (bytes.length < 2) return undefined;
	const [first = 0, second = 0] = bytes;
	const sizeBits = second & 0x7f;
	const sizeBytes = sizeBits === 126 ? 2 : sizeBits === 127 ? 8 : 0;
	if (bytes.length < 2 + sizeBytes) return undefined;
	const size = sizeBytes === 0 ? sizeBits : sizeBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
	const length = 2 + sizeBytes + size;
	if (bytes.length < length) return undefined;
	const kind = Object.entries(opcodes).find(([, opcode]) => opcode === (first & 0xf))?.[0] ?? 'unknown';
	const isMinimal = sizeBytes === 0 || size > (sizeBytes === 2 ? 125 : 65_535);
	const isRight = (first & 0xf0) === 0x80 && (second & 0x80) === 0 && isMinimal;
	tally.frames++;
	if (!isRight) tally.malformed++;
	const name = isRight ? kind : `malformed (${bytes.subarray(0, 2).toString('hex')}) ${kind}`;
	return { found: item(name, bytes.subarray(length - size, length)), length };
}
