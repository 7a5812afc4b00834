// GET and HEAD: the test page, the same document on every path.
import { createHash } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { parseChannelName } from '../pubsub/channel-name.js';
import { preferredCoding } from './content-coding.js';
import type { Door } from './exchange.js';
import { handshakeRefusal, isHandshake } from './handshake.js';
import { type HeaderLines, isRefused, type Reply, textReply } from './reply.js';

/** The page as the build made it. */
export type PageDocument = { readonly html: string; readonly contentSecurityPolicy: string };

/** What the server tells the page about itself: Settings in page/settings.ts. */
export type PageSettings = { readonly maxMessage: number; readonly mayPublish: boolean; readonly allowsPost: boolean };

const settingsPlace = 'data-settings="{}"';

/** Shows the page to a GET or HEAD. */
export function pageDoor(page: PageDocument, settings: PageSettings, maxPath: number): Door {
	const html = Buffer.from(
		page.html.replace(settingsPlace, () => `data-settings="${JSON.stringify(settings).replaceAll('"', '&quot;')}"`),
	);
	const common: HeaderLines = [
		['Content-Security-Policy', page.contentSecurityPolicy],
		['X-Content-Type-Options', 'nosniff'],
		['Referrer-Policy', 'no-referrer'],
		['Cache-Control', 'no-cache'],
		['Vary', 'Accept, Accept-Encoding'],
	];
	const variants = {
		br: variant(brotliCompressSync(html), common, 'br'),
		gzip: variant(gzipSync(html, { level: 9 }), common, 'gzip'),
		identity: variant(html, common),
	};

	return ({ head }) => {
		if (isHandshake(head)) {
			// The engine routes a handshake here only if its key does not have 24 characters, so there is something to refuse.
			const refusal = handshakeRefusal(head);
			if (refusal !== undefined) return refusal;
		}
		const name = parseChannelName(head.path, maxPath);
		if (isRefused(name)) return name;
		const { etag, whole, notModified } = variants[preferredCoding(head.acceptEncoding)];
		if (head.ifMatch !== undefined && !matchesStrongly(head.ifMatch, etag)) return otherEntityTag;
		return matchesEntityTag(head.ifNoneMatch, etag) ? notModified : whole;
	};
}

/** One coding of the document, with a strong entity tag of its own (RFC 9110, section 8.8.3). */
function variant(bytes: Buffer, common: HeaderLines, coding?: string) {
	const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
	const headersWithout: HeaderLines = [...common, ['ETag', etag]];
	const headers: HeaderLines = [
		...headersWithout,
		['Content-Type', 'text/html; charset=utf-8'],
		...(coding === undefined ? [] : ([['Content-Encoding', coding]] as const)),
	];
	const whole: Reply = { status: 200, headers, body: bytes };
	const notModified: Reply = { status: 304, headers: headersWithout };
	return { etag, whole, notModified };
}

/** RFC 9110, section 13.1.1. */
function matchesStrongly(ifMatch: string, etag: string): boolean {
	return ifMatch.trim() === '*' || ifMatch.split(',').some((item) => item.trim() === etag);
}

const otherEntityTag = textReply(412, 'The page has another entity tag than If-Match names: ask for it without If-Match.', []);

// Weakly, as If-None-Match wants it: a proxy that compresses makes a strong tag weak (RFC 9110, section 13.1.2).
function matchesEntityTag(ifNoneMatch: string | undefined, etag: string): boolean {
	if (ifNoneMatch === undefined) return false;
	// A tag may hold commas and stars itself.
	return ifNoneMatch.trim() === '*' || ifNoneMatch.split(',').some((item) => item.trim().replace(/^W\//, '') === etag);
}
