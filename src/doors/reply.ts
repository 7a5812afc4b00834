// One plain answer per request, written in one piece.
import type { HttpResponse } from '../engine.js';

export type HeaderLines = readonly (readonly [name: string, value: string])[];

/** Why a request is not served: the label in the metrics and the log. */
export const refusalCauses = [
	'body',
	'channels',
	'connections',
	'fault',
	'framing',
	'handshake',
	'memory',
	'method',
	'nobody',
	'origin',
	'path',
	'size',
	'stopping',
	'subscribers',
] as const;
export type RefusalCause = (typeof refusalCauses)[number];

/** A request that is not served: the status, one line for a person, and what the status demands beside it. */
export type Refused = {
	readonly status: RefusedStatus;
	readonly cause: RefusalCause;
	readonly reason: string;
	readonly headers?: HeaderLines;
	/** Whether the connection ends with the answer, and holds no file descriptor after it. */
	readonly closesConnection?: boolean;
};

const statusLines = {
	200: '200 OK',
	204: '204 No Content',
	304: '304 Not Modified',
	400: '400 Bad Request',
	403: '403 Forbidden',
	405: '405 Method Not Allowed',
	412: '412 Precondition Failed',
	413: '413 Content Too Large',
	426: '426 Upgrade Required',
	500: '500 Internal Server Error',
	503: '503 Service Unavailable',
} as const;
export type Status = keyof typeof statusLines;
export type RefusedStatus = Exclude<Status, 200 | 204 | 304>;

/**
 * Answers with one line of text. The engine discards what is left of the request's body. `isLast` says so in
 * `Connection: close` and closes the connection, once requests that have arrived together with this one are answered too.
 */
export function replyText(res: HttpResponse, status: Status, line: string, headers: HeaderLines = [], isLast = false): void {
	writeHead(res, status, headers);
	res.writeHeader('Content-Type', textPlain);
	res.end(`${line}\n`, isLast);
}

/** Answers as a GET would be, without the body (RFC 9110, section 9.3.2). */
export function replyHead(res: HttpResponse, status: Status, bodyBytes: number, headers: HeaderLines): void {
	writeHead(res, status, [...headers, ['Content-Length', String(bodyBytes)]]);
	res.endWithoutBody();
}

/** Answers 204, which has no body and no Content-Length (RFC 9110, section 8.6). */
export function replyNothing(res: HttpResponse, headers: HeaderLines): void {
	writeHead(res, 204, headers);
	res.endWithoutBody();
}

/** Answers that the client's copy is good, without what describes it (RFC 9110, section 15.4.5). */
export function replyNotModified(res: HttpResponse, headers: HeaderLines): void {
	writeHead(res, 304, headers);
	res.endWithoutBody();
}

/** Answers why not, to a HEAD without the words. */
export function replyRefused(
	res: HttpResponse,
	{ status, reason, headers = [] }: Refused,
	isHead: boolean,
	isLast: boolean,
): void {
	if (isHead) replyHead(res, status, Buffer.byteLength(`${reason}\n`), [['Content-Type', textPlain], ...headers]);
	else replyText(res, status, reason, headers, isLast);
}

/**
 * Answers and closes the connection, so that no byte after this request runs as another one. Not in the handler's own
 * turn: what was read together with the request would be parsed on (20.30 and 20.57). While the answer is owed, the engine closes instead.
 */
export function replyAndClose(res: HttpResponse, { status, reason }: Refused): void {
	let isAborted = false;
	res.onAborted(() => {
		isAborted = true;
	});
	setImmediate(() => {
		if (isAborted) return;
		res.cork(() => {
			writeHead(res, status, [['Content-Type', textPlain]]);
			res.end(`${reason}\n`, true);
		});
	});
}

const textPlain = 'text/plain; charset=utf-8';

export function writeHead(res: HttpResponse, status: Status, headers: HeaderLines): void {
	// The engine writes 200 by itself.
	if (status !== 200) res.writeStatus(statusLines[status]);
	for (const [name, value] of headers) res.writeHeader(name, value);
}
