// Reads the body of an operator's request within a bound.
import type { IncomingMessage } from 'node:http';

/** What a head says of its body. */
export function bodyHead(headers: IncomingMessage['headers']) {
	return { contentEncoding: headers['content-encoding'], contentType: headers['content-type'] };
}

/**
 * Resolves to the whole body, or to undefined as soon as it is known to exceed `bytesMax`: by its announced length before
 * any of it is read, else while counting. What is too much is discarded. Never resolves if the client goes away first:
 * a body that is cut short is not a message, and no client is left to answer.
 */
export function readRequestBody(req: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
	return new Promise((resolve) => {
		if (Number(req.headers['content-length'] ?? 0) > bytesMax) return resolve(undefined);
		// Not a list of pieces: a body that comes a byte at a time would take a hundred times its size.
		let body = Buffer.alloc(0);
		let bytes = 0;
		req.on('data', (piece: Buffer) => {
			const start = bytes;
			bytes += piece.length;
			if (bytes > bytesMax) return resolve(undefined);
			if (bytes > body.length) {
				const grown = Buffer.alloc(Math.min(Math.max(bytes, 2 * body.length), bytesMax));
				body.copy(grown);
				body = grown;
			}
			piece.copy(body, start);
		});
		req.on('end', () => resolve(body.subarray(0, bytes)));
	});
}
