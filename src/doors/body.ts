// Reads a request's body within a bound. Keeps no more of it than has arrived.
import type { HttpResponse } from '../engine.js';

/**
 * Reads the body and hands it over whole, valid until `onBody` returns. Calls `onTooLarge` instead, once, as soon as it is
 * known to exceed `bytesMax`: by its announced length before any of it is read, else while counting. Neither is
 * called when the client goes away first. To be called in the handler's own turn, or the engine loses the body.
 */
export function readBody(
	res: HttpResponse,
	announcedBytes: number | undefined,
	bytesMax: number,
	onBody: (body: ArrayBuffer | Uint8Array) => void,
	onTooLarge: () => void,
): void {
	if (announcedBytes !== undefined && announcedBytes > bytesMax) {
		onTooLarge();
		return;
	}
	let body = new Uint8Array(0);
	let bytes = 0;
	let isTooLarge = false;
	res.onData((chunk, isLast) => {
		// The engine goes on calling while it discards the rest, and the answer is given.
		if (isTooLarge) return;
		const start = bytes;
		bytes += chunk.byteLength;
		if (bytes > bytesMax) {
			isTooLarge = true;
			onTooLarge();
		} else if (isLast && start === 0) {
			onBody(chunk);
		} else {
			// Copied, because the engine takes the chunk back when this returns.
			if (bytes > body.length) body = grow(body, Math.min(Math.max(bytes, 2 * body.length), bytesMax));
			body.set(new Uint8Array(chunk), start);
			if (isLast) onBody(body.subarray(0, bytes));
		}
	});
	// The engine demands a handler where the answer may come later; a body cut short is not a message.
	res.onAborted(() => {});
}

function grow(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
	const grown = new Uint8Array(length);
	grown.set(bytes);
	return grown;
}
