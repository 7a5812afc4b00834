// GET and HEAD: the test page, the same document on every path.
import { parseChannelName } from '../pubsub/channel-name.js';
import type { Door } from './door.js';
import { handshakeRefusal, isHandshake } from './handshake.js';
import { type HeaderLines, replyHead, writeHead } from './reply.js';

/** The page as the build made it. */
export type PageDocument = { readonly html: string; readonly contentSecurityPolicy: string };

/** Shows the page to a GET, and its head to a HEAD. */
export function pageDoor(page: PageDocument, pathCodePointsMax: number): Door {
	const headers: HeaderLines = [
		['Content-Type', 'text/html; charset=utf-8'],
		['Content-Security-Policy', page.contentSecurityPolicy],
		['X-Content-Type-Options', 'nosniff'],
		['Referrer-Policy', 'no-referrer'],
		['Cache-Control', 'no-cache'],
	];
	const bytes = Buffer.byteLength(page.html);

	return (res, head) => {
		if (isHandshake(head)) {
			// The engine leads a GET here only if its key has not 24 characters, so this finds what is wrong with it.
			const refusal = handshakeRefusal(head);
			if (refusal !== undefined) return refusal;
		}
		const name = parseChannelName(head.path, pathCodePointsMax);
		if (typeof name === 'object') return name;
		if (head.method === 'head') {
			replyHead(res, 200, bytes, headers);
		} else {
			writeHead(res, 200, headers);
			res.end(page.html);
		}
		return undefined;
	};
}
