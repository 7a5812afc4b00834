// Answers to requests, and how they are written.
import type { HttpResponse } from '../engine.js';

export type HeaderLines = readonly (readonly [name: string, value: string])[];

/**
 * Why a request is not served: the label in the metrics and the log. `pipelining` is a connection that was closed because it sent too
 * many requests at once, `unread` one that ended before its client had read an answer. `auth` is a refusal of the authorisation service,
 * `auth_failed` stands for no usable answer of it, `auth_busy` for too many questions, `hook` for a refusal of --publish-hook, `groups` for a
 * frame of pathcast.groups.v1 that is malformed, or asks for too much, `relay` for a relay that cannot be reached, or has too much to do.
 */
export const refusalCauses = [
	'auth',
	'auth_busy',
	'auth_failed',
	'body',
	'channels',
	'connections',
	'fault',
	'framing',
	'groups',
	'handshake',
	'hook',
	'memory',
	'method',
	'nobody',
	'origin',
	'path',
	'pipelining',
	'relay',
	'size',
	'stopping',
	'subscribers',
	'unread',
] as const;
export type RefusalCause = (typeof refusalCauses)[number];

/** An answer. Without a body, it has no Content-Length either: 204 and 304 (RFC 9110, sections 8.6 and 15.4.5). */
export type Reply = {
	readonly status: Status;
	readonly headers: HeaderLines;
	readonly body?: string | Uint8Array;
};

/** A refusal: the status, one line for a person, and the header fields that the status requires. */
export type Refused = {
	readonly status: RefusedStatus;
	readonly cause: RefusalCause;
	readonly reason: string;
	/** What the client gets in place of the reason. */
	readonly body?: Uint8Array;
	readonly headers?: HeaderLines;
	/** Whether the connection ends with the answer, and holds no file descriptor after it. */
	readonly closesConnection?: boolean;
};

/** Whether a result is a refusal, and not what was asked for: a name, or a number. */
export function isRefused<Result>(result: Result): result is Extract<Result, Refused> {
	return typeof result === 'object';
}

/** A refusal with more header fields, such as those of CORS. */
export function withHeaders(refused: Refused, headers: HeaderLines): Refused {
	return { ...refused, headers: [...(refused.headers ?? []), ...headers] };
}

const statusLines = {
	200: '200 OK',
	204: '204 No Content',
	304: '304 Not Modified',
	400: '400 Bad Request',
	401: '401 Unauthorized',
	403: '403 Forbidden',
	404: '404 Not Found',
	405: '405 Method Not Allowed',
	412: '412 Precondition Failed',
	413: '413 Content Too Large',
	415: '415 Unsupported Media Type',
	426: '426 Upgrade Required',
	429: '429 Too Many Requests',
	500: '500 Internal Server Error',
	502: '502 Bad Gateway',
	503: '503 Service Unavailable',
} as const;
export type Status = keyof typeof statusLines;
export type RefusedStatus = Exclude<Status, 200 | 204 | 304>;

const textPlain: HeaderLines = [['Content-Type', 'text/plain; charset=utf-8']];

/** One line of text for a person. */
export function textReply(status: Status, line: string, headers: HeaderLines): Reply {
	return { status, headers: [...headers, ...textPlain], body: `${line}\n` };
}

export function refusalReply({ status, reason, body, headers = [] }: Refused): Reply {
	if (body === undefined) return textReply(status, reason, headers);
	return { status, headers: [...headers, ...textPlain, ['X-Content-Type-Options', 'nosniff']], body };
}

/**
 * Writes an answer; to a HEAD, without the body (RFC 9110, section 9.3.2). `isLast` adds `Connection: close` and closes the connection
 * when requests that arrived together with this one are answered too; the engine cannot do that for an answer without a body. Unless
 * `isKept`, the engine keeps no part of the body for a client that does not read: the rest goes out as the client reads. False then.
 */
export function writeReply(
	res: HttpResponse,
	{ status, headers, body }: Reply,
	isHead: boolean,
	isLast: boolean,
	isKept: boolean,
): boolean {
	// The engine writes 200 by itself.
	if (status !== 200) res.writeStatus(statusLines[status]);
	for (const [name, value] of headers) res.writeHeader(name, value);
	if (body === undefined || isHead) {
		if (body !== undefined) res.writeHeader('Content-Length', String(Buffer.byteLength(body)));
		res.endWithoutBody();
		return true;
	}
	if (isLast || isKept) {
		res.end(body, isLast);
		return true;
	}
	const length = Buffer.byteLength(body);
	const [, isWritten] = res.tryEnd(body, length);
	if (isWritten) return true;
	const bytes = Buffer.from(body as Uint8Array);
	res.onWritable((offset) => res.tryEnd(bytes.subarray(offset), length)[0]);
	return false;
}
