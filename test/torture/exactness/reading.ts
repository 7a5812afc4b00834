// Takes messages out of what a subscriber reads: frames of a server (RFC 6455, section 5.2), and events (WHATWG HTML, section 9.2.5).

/** Each connection needs a reader of its own. `payload` may be overwritten when `onFrame` has returned. */
export class FrameReader {
	#held: Buffer = Buffer.alloc(0);

	constructor(private readonly onFrame: (opcode: number, payload: Buffer) => void) {}

	read(bytes: Buffer): void {
		const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
		let at = 0;
		for (;;) {
			const frame = frameAt(all, at);
			if (frame === undefined) break;
			at = frame.end;
			this.onFrame(frame.opcode, all.subarray(frame.start, frame.end));
		}
		this.#held = Buffer.from(all.subarray(at));
	}
}

/** The frame that begins there; undefined if it has not come whole. A server does not mask, and pathcast sends no fragments. */
function frameAt(bytes: Buffer, at: number): { opcode: number; start: number; end: number } | undefined {
	if (bytes.length < at + 2) return undefined;
	const [first, length] = [bytes[at] as number, bytes[at + 1] as number];
	if ((first & 0xf0) !== 0x80 || length > 127) throw new Error(`corrupt: a frame begins with ${first} ${length}`);
	const start = at + (length < 126 ? 2 : length === 126 ? 4 : 10);
	if (bytes.length < start) return undefined;
	const payloadBytes =
		length < 126 ? length : length === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
	const end = start + payloadBytes;
	return bytes.length < end ? undefined : { opcode: first & 0x0f, start, end };
}

const data = Buffer.from('data: ');
const binary = Buffer.from('event: binary\ndata: ');
const lf = 0x0a;

/** Each stream needs a reader of its own. The reader of test/support is too slow for hundreds of thousands of events. */
export class EventReader {
	#held: Buffer = Buffer.alloc(0);

	constructor(private readonly onMessage: (payload: Buffer, isBinary: boolean) => void) {}

	read(bytes: Buffer): void {
		const all = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
		let at = 0;
		for (;;) {
			// An empty line more ends no event.
			while (all[at] === lf) at++;
			const end = all.indexOf('\n\n', at);
			if (end < 0) break;
			this.#take(all.subarray(at, end));
			at = end + 2;
		}
		this.#held = Buffer.from(all.subarray(at));
	}

	#take(event: Buffer): void {
		if (startsWith(event, data)) this.onMessage(textOf(event), false);
		else if (startsWith(event, binary)) this.onMessage(Buffer.from(event.toString('latin1', binary.length), 'base64'), true);
		// Comments, and how long to wait before connecting again.
		else if (event[0] !== 0x3a) throw new Error(`corrupt: an event begins with ${event.toString('latin1', 0, 40)}`);
	}
}

/** The lines of an event, joined. */
function textOf(event: Buffer): Buffer {
	if (!event.includes(lf)) return event.subarray(data.length);
	const lines = event.toString('latin1').split('\n');
	if (!lines.every((line) => line.startsWith('data: '))) throw new Error('corrupt: an event has a line without data');
	return Buffer.from(lines.map((line) => line.slice(data.length)).join('\n'), 'latin1');
}

function startsWith(bytes: Buffer, start: Buffer): boolean {
	return bytes.length >= start.length && start.compare(bytes, 0, start.length) === 0;
}
