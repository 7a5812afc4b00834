// The checker: the one order of a channel's deliveries, and whether each subscriber has received exactly that.
import type { Envelope } from './dialect.js';

/**
 * A message's text begins with these: who published it, counted over all channels, so that a message on the wrong one is found out;
 * and its number from there; each followed by a space.
 */
const publisherDigits = 5;
const numberDigits = 10;
const textStart = publisherDigits + 1 + numberDigits + 1;
const space = 0x20;

/** The payload of one publisher's messages; `writeNumber` fills in which one. */
export function payloadTemplate(publisher: number, payloadBytes: number): Buffer {
	const payload = Buffer.alloc(payloadBytes, 'pathcast ');
	payload.write(`${String(publisher).padStart(publisherDigits, '0')} `, 0, 'latin1');
	payload.write(`${'0'.repeat(numberDigits)} `, publisherDigits + 1, 'latin1');
	return payload;
}

export function writeNumber(bytes: Buffer, payloadStart: number, number: number): void {
	let rest = number;
	for (let at = payloadStart + publisherDigits + numberDigits; at > payloadStart + publisherDigits; at--) {
		bytes[at] = 48 + (rest % 10);
		rest = Math.floor(rest / 10);
	}
}

function readDigits(bytes: Buffer, start: number, count: number): number {
	let value = 0;
	for (let at = start; at < start + count; at++) {
		const digit = (bytes[at] as number) - 48;
		if (digit < 0 || digit > 9) return Number.NaN;
		value = value * 10 + digit;
	}
	return value;
}

export type LogParts = {
	readonly envelope: Envelope;
	readonly payloadBytes: number;
	/** How many messages a publisher of this channel has sent so far; undefined if it is none. */
	sent(publisher: number): number | undefined;
	/** Called for each message as it enters the log, with the position of its end. */
	onMessage(publisher: number, number: number, end: number): void;
	/** The position of the subscriber that has received least; nothing before it is needed any more. */
	slowest(): number;
};

/**
 * The stream of a channel. Whichever subscriber is ahead writes it, and each message it brings must be the next one of its publisher,
 * byte for byte; everyone else is compared with what is written. Positions are bytes from the beginning of the stream.
 */
export class CanonicalLog {
	/** Every delivery has this length, and begins with these bytes. */
	readonly deliveryBytes: number;
	readonly before: Buffer;
	readonly #parts: LogParts;
	readonly #payloadStart: number;
	readonly #rest: Buffer;
	readonly #numbers = new Map<number, number>();
	#bytes: Buffer;
	#base = 0;
	#end = 0;
	#checked = 0;

	constructor(parts: LogParts, bytesHint: number) {
		this.#parts = parts;
		this.deliveryBytes = parts.envelope.before.length + parts.payloadBytes + parts.envelope.after.length;
		this.before = parts.envelope.before;
		this.#payloadStart = parts.envelope.before.length;
		// What follows the digits is the same in every message.
		this.#rest = Buffer.concat([payloadTemplate(0, parts.payloadBytes).subarray(textStart), parts.envelope.after]);
		this.#bytes = Buffer.allocUnsafe(Math.max(bytesHint, this.deliveryBytes));
	}

	/** Judges what the subscriber at `position` has received next: undefined if it is right, else what is wrong. */
	take(position: number, chunk: Buffer): string | undefined {
		const known = Math.min(chunk.length, this.#end - position);
		const at = position - this.#base;
		if (known > 0 && this.#bytes.compare(chunk, 0, known, at, at + known) !== 0) return this.#difference(position, chunk, known);
		if (known === chunk.length) return undefined;
		this.#append(known === 0 ? chunk : chunk.subarray(known));
		return this.#check();
	}

	#append(chunk: Buffer): void {
		if (this.#end - this.#base + chunk.length > this.#bytes.length) this.#makeRoom(chunk.length);
		chunk.copy(this.#bytes, this.#end - this.#base);
		this.#end += chunk.length;
	}

	#makeRoom(bytes: number): void {
		const keepFrom = Math.min(this.#parts.slowest(), this.#checked);
		const kept = this.#bytes.subarray(keepFrom - this.#base, this.#end - this.#base);
		const needed = kept.length + bytes;
		if (needed > this.#bytes.length / 2) {
			const grown = Buffer.allocUnsafe(2 * needed);
			kept.copy(grown);
			this.#bytes = grown;
		} else {
			this.#bytes.copyWithin(0, keepFrom - this.#base, this.#end - this.#base);
		}
		this.#base = keepFrom;
	}

	/** Checks every message that has become complete. */
	#check(): string | undefined {
		for (; this.#end - this.#checked >= this.deliveryBytes; this.#checked += this.deliveryBytes) {
			const start = this.#checked - this.#base;
			const wrong = this.#wrongMessage(start);
			if (wrong !== undefined) return wrong;
		}
		return undefined;
	}

	#wrongMessage(start: number): string | undefined {
		const bytes = this.#bytes;
		if (this.before.compare(bytes, start, start + this.before.length) !== 0) return 'corrupt: not the start of a delivery';
		const payload = start + this.#payloadStart;
		const publisher = readDigits(bytes, payload, publisherDigits);
		const number = readDigits(bytes, payload + publisherDigits + 1, numberDigits);
		const text = payload + textStart;
		const isWhole =
			publisher >= 0 &&
			number >= 0 &&
			bytes[payload + publisherDigits] === space &&
			bytes[text - 1] === space &&
			this.#rest.compare(bytes, text, text + this.#rest.length) === 0;
		if (!isWhole) return `corrupt: a message of publisher ${publisher} is not as it was sent`;
		const sent = this.#parts.sent(publisher);
		if (sent === undefined) return `corrupt: publisher ${publisher} does not publish to this channel`;
		if (number >= sent) return `corrupt: message ${number} of publisher ${publisher} was never sent`;
		const expected = this.#numbers.get(publisher) ?? 0;
		if (number < expected)
			return `doubled or out of order: message ${number} of publisher ${publisher} comes after ${expected - 1}`;
		if (number > expected)
			return `lost or out of order: message ${number} of publisher ${publisher} comes in place of ${expected}`;
		this.#numbers.set(publisher, number + 1);
		this.#parts.onMessage(publisher, number, this.#checked + this.deliveryBytes);
		return undefined;
	}

	#difference(position: number, chunk: Buffer, known: number): string {
		let first = 0;
		while (first < known && this.#bytes[position - this.#base + first] === chunk[first]) first++;
		const index = Math.floor((position + first) / this.deliveryBytes);
		return `out of order or corrupt: differs from what another subscriber received in delivery ${index} of the channel`;
	}
}
