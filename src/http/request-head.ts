// Reads a request's head in one pass, before the engine takes the request back, and judges its framing.
import type { HttpRequest } from '../engine.js';

/** What a door looks at of a request. A repeated header field is joined by ", " (RFC 9110, section 5.3). */
export type RequestHead = {
	/** As it came, without the query. */
	readonly path: string;
	/** In lower case. */
	readonly method: string;
	accept: string | undefined;
	acceptEncoding: string | undefined;
	connection: string | undefined;
	contentEncoding: string | undefined;
	contentLength: string | undefined;
	contentType: string | undefined;
	forwardedFor: string | undefined;
	host: string | undefined;
	ifMatch: string | undefined;
	ifNoneMatch: string | undefined;
	origin: string | undefined;
	transferEncoding: string | undefined;
	upgrade: string | undefined;
	webSocketKey: string | undefined;
	webSocketProtocol: string | undefined;
	webSocketVersion: string | undefined;
	/** Whether there is any `Sec-WebSocket-*` field. */
	hasWebSocketField: boolean;
	/** For the authorisation service: what follows the question mark, and all header fields as name, value, name, value. */
	readonly asked: { readonly query: string; readonly fields: readonly string[] } | undefined;
};

const fields = new Map([
	['accept', 'accept'],
	['accept-encoding', 'acceptEncoding'],
	['connection', 'connection'],
	['content-encoding', 'contentEncoding'],
	['content-length', 'contentLength'],
	['content-type', 'contentType'],
	['host', 'host'],
	['if-match', 'ifMatch'],
	['if-none-match', 'ifNoneMatch'],
	['origin', 'origin'],
	['sec-websocket-key', 'webSocketKey'],
	['sec-websocket-protocol', 'webSocketProtocol'],
	['sec-websocket-version', 'webSocketVersion'],
	['transfer-encoding', 'transferEncoding'],
	['upgrade', 'upgrade'],
	['x-forwarded-for', 'forwardedFor'],
] as const);

/** `isAsked` keeps what the authorisation service is to be told. */
export function readHead(req: HttpRequest, isAsked: boolean): RequestHead {
	const all: string[] = [];
	// Every field from the start: objects of one shape are faster to make and to read.
	const head: RequestHead = {
		path: req.getUrl(),
		method: req.getMethod(),
		accept: undefined,
		acceptEncoding: undefined,
		connection: undefined,
		contentEncoding: undefined,
		contentLength: undefined,
		contentType: undefined,
		forwardedFor: undefined,
		host: undefined,
		ifMatch: undefined,
		ifNoneMatch: undefined,
		origin: undefined,
		transferEncoding: undefined,
		upgrade: undefined,
		webSocketKey: undefined,
		webSocketProtocol: undefined,
		webSocketVersion: undefined,
		hasWebSocketField: false,
		asked: isAsked ? { query: req.getQuery() ?? '', fields: all } : undefined,
	};
	req.forEach((name, value) => {
		const field = fields.get(name as never);
		if (field !== undefined) {
			const earlier = head[field];
			head[field] = earlier === undefined ? value : `${earlier}, ${value}`;
		}
		if (name.startsWith('sec-websocket-')) head.hasWebSocketField = true;
		if (isAsked) all.push(name, value);
	});
	return head;
}

/**
 * Why the end of this request's body, or its host, is ambiguous; undefined if neither is (RFC 9112, sections 3.2 and 6.3). A proxy in
 * front may have understood the request differently, so nothing after it on the connection may run as a request.
 */
export function ambiguity(head: RequestHead): string | undefined {
	if (head.contentLength !== undefined && !/^[0-9]+$/.test(head.contentLength)) {
		return 'Content-Length must be one decimal number, given once.';
	}
	if (head.transferEncoding !== undefined && head.transferEncoding.toLowerCase() !== 'chunked') {
		return 'Transfer-Encoding must be chunked, given once, or absent.';
	}
	if (head.host !== undefined && !isHost.test(head.host)) {
		return 'Host must be one host name or address, with a port or without, given once.';
	}
	return undefined;
}

// RFC 3986, sections 3.2.2 and 3.2.3; without the comma, which stands between two Host fields.
const isHost = /^(\[[0-9A-Za-z:.%_~-]+\]|([0-9A-Za-z._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*)(:[0-9]*)?$/;

/** Whether bytes of it follow the head. */
export function hasBody({ contentLength, transferEncoding }: RequestHead): boolean {
	return transferEncoding !== undefined || Number(contentLength ?? 0) > 0;
}

/** Whether a comma-separated field holds a token, in any case of letters. */
export function hasToken(field: string | undefined, token: string): boolean {
	if (field === undefined) return false;
	const items = field.toLowerCase();
	// Most fields have one token.
	return items === token || items.split(',').some((item) => item.trim() === token);
}
