// The requests and frames of a client, as structures whose fields can be changed one by one, and their bytes.

export type Field = [name: string, value: string];
/** The size stands before the bytes, whatever their number is. */
export type Chunk = { size: string; bytes: Buffer };

/** Texts have one character for each byte. */
export type Request = {
	method: string;
	target: string;
	version: string;
	fields: Field[];
	/** Undefined for a body that is not chunked. */
	chunks: Chunk[] | undefined;
	body: Buffer;
	lineEnd: string;
};

export type Frame = {
	/** The bits FIN, RSV1 to RSV3, and the opcode. */
	first: number;
	/** Whether the bit MASK is set. */
	isMasked: boolean;
	/** Four bytes, or none. */
	mask: Buffer;
	/** How many bits the length takes. */
	lengthBits: 7 | 16 | 64;
	length: number;
	payload: Buffer;
};

export type Part = Request | Frame;

/** Parts that are sent together. A client waits for an answer between two stages. */
export type Stage = Part[];

export function isRequest(part: Part): part is Request {
	return 'method' in part;
}

export function frameOf(opcode: number, payload: string | Buffer, mask: Buffer, isFinal = true): Frame {
	const bytes = Buffer.from(payload);
	const lengthBits = bytes.length < 126 ? 7 : bytes.length < 65_536 ? 16 : 64;
	return { first: (isFinal ? 0x80 : 0) | opcode, isMasked: true, mask, lengthBits, length: bytes.length, payload: bytes };
}

export function bytesOf(part: Part): Buffer {
	return isRequest(part) ? requestBytes(part) : frameBytes(part);
}

function requestBytes({ method, target, version, fields, chunks, body, lineEnd }: Request): Buffer {
	const lines = [`${method} ${target} ${version}`, ...fields.map(([name, value]) => `${name}: ${value}`), '', ''];
	const head = Buffer.from(lines.join(lineEnd), 'latin1');
	const pieces = (chunks ?? []).flatMap(({ size, bytes }) => [Buffer.from(`${size}\r\n`, 'latin1'), bytes, Buffer.from('\r\n')]);
	return Buffer.concat([head, ...pieces, body]);
}

function frameBytes({ first, isMasked, mask, lengthBits, length, payload }: Frame): Buffer {
	const head = Buffer.alloc(lengthBits === 7 ? 2 : lengthBits === 16 ? 4 : 10);
	head[0] = first;
	head[1] = (isMasked ? 0x80 : 0) | (lengthBits === 7 ? length & 0x7f : lengthBits === 16 ? 126 : 127);
	if (lengthBits === 16) head.writeUInt16BE(length & 0xffff, 2);
	if (lengthBits === 64) head.writeBigUInt64BE(BigInt.asUintN(64, BigInt(length)), 2);
	const masked = mask.length === 4 ? payload.map((byte, i) => byte ^ (mask[i % 4] as number)) : payload;
	return Buffer.concat([head, mask, masked]);
}
