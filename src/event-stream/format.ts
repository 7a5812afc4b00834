// Messages as events (WHATWG HTML, section 9.2.5, "Parsing an event stream").
import type { Message } from '../pubsub/message.js';

const lf = 0x0a;
const cr = 0x0d;
const beforeData = Buffer.from('data: ');
const betweenLines = Buffer.from('\ndata: ');
const afterData = Buffer.from('\n\n');
const beforeBinary = Buffer.from('event: binary\ndata: ');

/**
 * The event of a message. A text message is `data`, a field for each of its lines; the client joins them with LF, whether they ended in
 * LF, CR or CRLF. A binary message is an event `binary`, in base64.
 */
export function eventOf({ bytes, isBinary }: Message): Buffer {
	const data = bytes instanceof ArrayBuffer ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	if (isBinary) return Buffer.concat([beforeBinary, Buffer.from(data.toString('base64')), afterData]);
	return Buffer.concat([beforeData, ...lines(data), afterData]);
}

/** The lines of a text, with what goes between them in place of their ends. */
function lines(text: Buffer): Buffer[] {
	if (!text.includes(lf) && !text.includes(cr)) return [text];
	const parts: Buffer[] = [];
	let start = 0;
	for (let at = 0; at < text.length; at++) {
		const byte = text[at];
		if (byte !== lf && byte !== cr) continue;
		parts.push(text.subarray(start, at), betweenLines);
		if (byte === cr && text[at + 1] === lf) at++;
		start = at + 1;
	}
	parts.push(text.subarray(start));
	return parts;
}

/** The start of a stream: a comment, so that proxies pass the head on, and how many milliseconds to wait before connecting again. */
export function preamble(retryMs: number): Buffer {
	return Buffer.from(`: subscribed\nretry: ${retryMs}\n\n`);
}

/** What is sent to a stream that is quiet. */
export const comment = Buffer.from(':\n\n');

/** The end of a stream: why the server closes it, for a person who reads it. */
export function closeComment(reason: string): Buffer {
	return Buffer.from(`: ${reason}\n\n`);
}
