// The payload of a message of Redis. Text is its bytes as they are, so that any client of Redis can publish and read it. Every other
// payload begins with 0xFF, which UTF-8 never contains, so that no text is mistaken for it.
import { type Message, textMessage, trustedMessage } from '../pubsub/message.js';

const mark = 0xff;
const kinds = { binary: 0x01, close: 0x02 } as const;

/** An instruction to close the channel, in its order. */
export const closePayload = Buffer.from([mark, kinds.close]);

/** A copy: the engine takes the bytes of a message back when the handler returns. */
export function payloadOf({ bytes, isBinary }: Message): Buffer {
	const source = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
	if (!isBinary) return Buffer.from(source);
	const payload = Buffer.allocUnsafe(source.length + 2);
	payload[0] = mark;
	payload[1] = kinds.binary;
	payload.set(source, 2);
	return payload;
}

/** Reads a payload: a message, the instruction to close, nothing at all, or why it is none of these. */
export function readPayload(payload: Buffer, maxMessage: number): Message | 'close' | 'empty' | 'malformed' | 'too long' {
	if (payload.length === 0) return 'empty';
	const isText = payload[0] !== mark;
	if (!isText && payload[1] === kinds.close && payload.length === 2) return 'close';
	if (!isText && payload[1] !== kinds.binary) return 'malformed';
	const body = isText ? payload : payload.subarray(2);
	if (body.length > maxMessage) return 'too long';
	if (body.length === 0) return 'empty';
	return isText ? (textMessage(body, 'relay') ?? 'malformed') : trustedMessage(body, true, 'relay');
}
