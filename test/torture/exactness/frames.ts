// The frames of a client, with random masks.
import { clientHeader } from '#bench/load/dialect.js';
import { opcodes } from '../../support/opcodes.js';
import type { Random } from '../../support/random.js';

const final = 0x80;
const fragmentedShare = 8;

export function frame(random: Random, firstByte: number, payload: Buffer): Buffer {
	const header = clientHeader(firstByte, payload.length);
	const mask = Buffer.allocUnsafe(4);
	mask.writeInt32LE(random.below(2 ** 32) | 0);
	mask.copy(header, header.length - 4);
	const bytes = Buffer.concat([header, payload]);
	for (let at = 0; at < payload.length; at++) bytes[header.length + at] = (payload[at] as number) ^ (mask[at & 3] as number);
	return bytes;
}

/** A message in one frame, or in two with a ping between them. */
export function messageFrames(random: Random, payload: Buffer, isBinary: boolean): Buffer {
	const opcode = isBinary ? opcodes.binary : opcodes.text;
	if (random.below(fragmentedShare) > 0) return frame(random, final | opcode, payload);
	const cut = random.below(payload.length + 1);
	return Buffer.concat([
		frame(random, opcode, payload.subarray(0, cut)),
		frame(random, final | opcodes.ping, Buffer.from('between')),
		frame(random, final | opcodes.continuation, payload.subarray(cut)),
	]);
}

export function pong(random: Random, payload: Buffer): Buffer {
	return frame(random, final | opcodes.pong, payload);
}

/** A close frame with the code 1000. */
export function close(random: Random): Buffer {
	return frame(random, final | opcodes.close, Buffer.from([0x03, 0xe8]));
}

/** The beginning of a message that never ends. */
export function half(random: Random, payload: Buffer): Buffer {
	const whole = frame(random, final | opcodes.text, payload);
	return whole.subarray(0, 2 + random.below(whole.length - 2));
}
