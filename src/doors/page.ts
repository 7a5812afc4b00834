// GET and HEAD: the test page, the same document on every path.
import { parseChannelName } from '../pubsub/channel-name.js';
import type { Door } from './door.js';
import { handshakeRefusal, handshakeWithoutGet, isHandshake } from './handshake.js';
import type { Headers } from './headers.js';
import { type HeaderLines, type Refused, refuse, replyHead, writeHead } from './reply.js';

/** The page as the build made it. */
export type PageDocument = { readonly html: string; readonly contentSecurityPolicy: string };

/** Shows the page to a GET, and its head to a HEAD. */
export function pageDoor(page: PageDocument, pathCodePointsMax: number): Door {
	const head: HeaderLines = [
		['Content-Type', 'text/html; charset=utf-8'],
		['Content-Security-Policy', page.contentSecurityPolicy],
		['X-Content-Type-Options', 'nosniff'],
		['Referrer-Policy', 'no-referrer'],
		['Cache-Control', 'no-cache'],
	];
	const bytes = Buffer.byteLength(page.html);

	return (res, req, headers) => {
		const isHead = req.getMethod() === 'head';
		const refusal = pageRefusal(req.getUrl(), headers, isHead);
		if (refusal !== undefined) return refuse(res, refusal, [], isHead);
		if (isHead) return replyHead(res, 200, bytes, head);
		writeHead(res, 200, head);
		res.end(page.html);
	};

	function pageRefusal(path: string, headers: Headers, isHead: boolean): Refused | undefined {
		if (isHandshake(headers)) {
			// The engine leads a GET here only if its key has not 24 characters, so this finds what is wrong with it.
			const refusal = isHead ? handshakeWithoutGet : handshakeRefusal(headers);
			if (refusal !== undefined) return refusal;
		}
		const name = parseChannelName(path, pathCodePointsMax);
		return typeof name === 'object' ? name : undefined;
	}
}
