// Reads a request's body within a bound. Keeps no more of it than has arrived.

import { discardedBytesMax, discardMsMax } from './discarding.js';
import type { Exchange } from './exchange.js';

export type Body = ArrayBuffer | Uint8Array;

export type BodyParts = {
	/** The Content-Length, if there is one. */
	readonly announcedBytes: number | undefined;
	readonly bytesMax: number;
	/** Whether the connection ends with the answer. */
	readonly isLast: boolean;
};

/**
 * Reads the body and hands it over whole, valid until `onEnd` returns; or `undefined`, if it exceeds `bytesMax`: as soon as that is
 * known, by its announced length before any of it is read, else while counting; where the connection ends with the answer, when the
 * rest has been discarded as well, or 16 MiB of it, or what comes in five seconds. `onGone` is called instead when the client goes away
 * first. To be called in the handler's own turn, or the engine loses the body.
 */
export function readBody(
	exchange: Exchange,
	{ announcedBytes, bytesMax, isLast: discards }: BodyParts,
	onEnd: (body: Body | undefined) => void,
	onGone: () => void = () => {},
): void {
	const { res } = exchange;
	let isTooLong = announcedBytes !== undefined && announcedBytes > bytesMax;
	if (isTooLong && !discards) {
		onEnd(undefined);
		return;
	}
	let body = new Uint8Array(0);
	let bytes = 0;
	let hasEnded = false;
	let patience: NodeJS.Timeout | undefined;
	const end = (result: Body | undefined) => {
		hasEnded = true;
		clearTimeout(patience);
		exchange.hasArrived = result !== undefined || discards;
		onEnd(result);
	};
	const waitForRest = () => {
		body = new Uint8Array(0);
		patience = setTimeout(() => res.cork(() => end(undefined)), discardMsMax).unref();
	};
	if (isTooLong) waitForRest();
	res.onData((chunk, isLast) => {
		// The engine goes on calling while it discards what is too much, and the answer is given.
		if (hasEnded) return;
		const start = bytes;
		bytes += chunk.byteLength;
		const wasTooLong = isTooLong;
		isTooLong ||= bytes > bytesMax;
		if (isTooLong) {
			if (isLast || !discards || bytes > discardedBytesMax) end(undefined);
			else if (!wasTooLong) waitForRest();
		} else if (isLast && start === 0) {
			end(chunk);
		} else {
			// Copied, because the engine takes the chunk back when this returns.
			if (bytes > body.length) body = grow(body, Math.min(Math.max(bytes, 2 * body.length), bytesMax));
			body.set(new Uint8Array(chunk), start);
			if (isLast) end(body.subarray(0, bytes));
		}
	});
	// A body cut short is not a message.
	exchange.onGone = () => {
		if (hasEnded) return;
		hasEnded = true;
		clearTimeout(patience);
		onGone();
	};
}

function grow(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
	const grown = new Uint8Array(length);
	grown.set(bytes);
	return grown;
}
