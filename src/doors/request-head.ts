// Reads a request's headers in one pass, before the engine takes the request back, and judges its framing.
import type { HttpRequest } from '../engine.js';

/** The header fields that a door looks at. A repeated field is joined by ", " (RFC 9110, section 5.3). */
export type Headers = {
	connection?: string;
	contentLength?: string;
	contentType?: string;
	host?: string;
	ifMatch?: string;
	origin?: string;
	transferEncoding?: string;
	upgrade?: string;
	webSocketKey?: string;
	webSocketProtocol?: string;
	webSocketVersion?: string;
	/** Whether there is any `Sec-WebSocket-*` field. */
	hasWebSocketField?: boolean;
};

const fields: Record<string, Exclude<keyof Headers, 'hasWebSocketField'>> = {
	__proto__: null as never,
	connection: 'connection',
	'content-length': 'contentLength',
	'content-type': 'contentType',
	host: 'host',
	'if-match': 'ifMatch',
	origin: 'origin',
	'transfer-encoding': 'transferEncoding',
	upgrade: 'upgrade',
	'sec-websocket-key': 'webSocketKey',
	'sec-websocket-protocol': 'webSocketProtocol',
	'sec-websocket-version': 'webSocketVersion',
};

export function readHeaders(req: HttpRequest): Headers {
	const headers: Headers = {};
	req.forEach((name, value) => {
		const field = fields[name];
		if (field !== undefined) {
			const earlier = headers[field];
			headers[field] = earlier === undefined ? value : `${earlier}, ${value}`;
		}
		if (name.startsWith('sec-websocket-')) headers.hasWebSocketField = true;
	});
	return headers;
}

/**
 * Why the end of this request's body is ambiguous, or who it is for; undefined if neither is (RFC 9112, sections 3.2
 * and 6.3). A proxy in front may have read it otherwise, so nothing after it on the connection may run as a request.
 */
export function ambiguity(headers: Headers): string | undefined {
	if (headers.contentLength !== undefined && !/^[0-9]+$/.test(headers.contentLength)) {
		return 'Content-Length must be one decimal number, given once.';
	}
	if (headers.transferEncoding !== undefined && headers.transferEncoding.toLowerCase() !== 'chunked') {
		return 'Transfer-Encoding must be chunked, given once, or absent.';
	}
	if (headers.host?.includes(',')) return 'Host must be given once.';
	return undefined;
}

/** Whether a comma-separated field holds a token, in any case of letters. */
export function hasToken(field: string | undefined, token: string): boolean {
	return (
		field
			?.toLowerCase()
			.split(',')
			.some((item) => item.trim() === token) ?? false
	);
}
