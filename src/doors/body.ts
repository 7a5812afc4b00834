// Reads a request's body within a bound. Keeps no more of it than has arrived.
import type { HttpResponse } from '../engine.js';

export type Body = ArrayBuffer | Uint8Array;

/**
 * Reads the body and hands it over whole, valid until `onEnd` returns; or `undefined`, as soon as it is known to exceed
 * `bytesMax`: by its announced length before any of it is read, else while counting. `onGone` is called instead when the
 * client goes away first. To be called in the handler's own turn, or the engine loses the body.
 */
export function readBody(
	res: HttpResponse,
	announcedBytes: number | undefined,
	bytesMax: number,
	onEnd: (body: Body | undefined) => void,
	onGone: () => void,
): void {
	if (announcedBytes !== undefined && announcedBytes > bytesMax) {
		onEnd(undefined);
		return;
	}
	let body = new Uint8Array(0);
	let bytes = 0;
	let hasEnded = false;
	res.onData((chunk, isLast) => {
		// The engine goes on calling while it discards what is too much, and the answer is given.
		if (hasEnded) return;
		const start = bytes;
		bytes += chunk.byteLength;
		hasEnded = isLast || bytes > bytesMax;
		if (bytes > bytesMax) {
			onEnd(undefined);
		} else if (isLast && start === 0) {
			onEnd(chunk);
		} else {
			// Copied, because the engine takes the chunk back when this returns.
			if (bytes > body.length) body = grow(body, Math.min(Math.max(bytes, 2 * body.length), bytesMax));
			body.set(new Uint8Array(chunk), start);
			if (isLast) onEnd(body.subarray(0, bytes));
		}
	});
	// A body cut short is not a message.
	res.onAborted(() => {
		if (!hasEnded) onGone();
	});
}

function grow(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
	const grown = new Uint8Array(length);
	grown.set(bytes);
	return grown;
}
