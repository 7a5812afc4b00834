// Malformed input, and input beyond a limit of the engine, with the answer that each engine gives.
// framing.test.ts and test/torture/conformance hold the engine that serves to its column; docs.test.ts holds docs/limits.md to both.
import { loadEngine } from '#src/engine.js';
import { handshakeHeaders } from './http.js';

/**
 * The answer that the client gets. A status alone is pathcast's own answer, with one line of text. "of the engine" is a status with a short page
 * of HTML, or a bare status line, after which the connection is closed. "closed" and "timed out" come without an answer.
 */
export type Outcome =
	| 'served'
	| 'served, then closed'
	| '400'
	| '405'
	| '413'
	| '400 of the engine'
	| '431 of the engine'
	| '505 of the engine'
	| 'served, but answered with 505 of the engine'
	| 'closed'
	| 'timed out';

/** After how many seconds a connection is closed that is idle, or whose request is not complete. Each clock ticks every four seconds. */
export const timeoutSeconds = { newer: 32, older: 12 };

type Expected = { readonly input: string; readonly newer: Outcome; readonly older: Outcome };
/** A request whose end, or whose host, its header fields leave open. `headers` comes after the request line and that Host. */
type AmbiguousFraming = Expected & { readonly host: string; readonly headers: string; readonly body: string };
/** The bytes of a client on one connection, a piece for each read of the server, and the message that is published if they are served. */
export type OtherInput = Expected & { readonly pieces: readonly string[]; readonly publishes: string | undefined };

/** The column of the engine that serves here. */
export const thisEngine: 'newer' | 'older' = loadEngine().version.startsWith('20.30.') ? 'older' : 'newer';

const chunks = '3\r\nabc\r\n0\r\n\r\n';

export const ambiguousFraming: readonly AmbiguousFraming[] = [
	...ambiguous('400', '400', [
		['two Content-Length fields, the first shorter', 'Content-Length: 3\r\nContent-Length: 6\r\n', 'abcdef'],
		['two Content-Length fields, the first longer', 'Content-Length: 6\r\nContent-Length: 3\r\n', 'abcdef'],
		['two equal Content-Length fields', 'Content-Length: 3\r\nContent-Length: 3\r\n', 'abc'],
		['two Content-Length fields of zero', 'Content-Length: 0\r\nContent-Length: 0\r\n', ''],
		['an empty Content-Length', 'Content-Length: \r\n', ''],
		['an empty Content-Length and a body', 'Content-Length:\r\n', 'abc'],
		['an empty Content-Length and chunks', 'Content-Length:\r\nTransfer-Encoding: chunked\r\n', chunks],
		['`Transfer-Encoding: gzip`', 'Transfer-Encoding: gzip\r\n', chunks],
		['an empty Transfer-Encoding', 'Transfer-Encoding:\r\n', chunks],
		['`Transfer-Encoding: identity`', 'Transfer-Encoding: identity\r\n', 'abc'],
		['`Transfer-Encoding: gzip, chunked`', 'Transfer-Encoding: gzip, chunked\r\n', chunks],
		['`Transfer-Encoding: chunked` twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', chunks],
		['`Transfer-Encoding: xchunked`', 'Transfer-Encoding: xchunked\r\n', chunks],
	]),
	...ambiguous('400 of the engine', '400', [['two Host fields', 'Host: y\r\n', '']]),
	...ambiguous('400', '400', [
		['the Host `user@x`', '', '', 'user@x'],
		['the Host `a/b`', '', '', 'a/b'],
		['the Host `a b`', '', '', 'a b'],
		['the Host `x:port`', '', '', 'x:port'],
		['the Host `[::1`', '', '', '[::1'],
		['the Host `%zz`', '', '', '%zz'],
	]),
	...ambiguous('400 of the engine', 'closed', [
		['`Content-Length: 3, 3`', 'Content-Length: 3, 3\r\n', 'abc'],
		['`Content-Length: +3`', 'Content-Length: +3\r\n', 'abc'],
		['`Content-Length: -3`', 'Content-Length: -3\r\n', 'abc'],
		['`Content-Length: 0x3`', 'Content-Length: 0x3\r\n', 'abc'],
		['`Content-Length: 3 3`', 'Content-Length: 3 3\r\n', 'abc'],
		['Content-Length, then Transfer-Encoding', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', chunks],
		['Transfer-Encoding, then Content-Length', 'Transfer-Encoding: chunked\r\nContent-Length: 3\r\n', chunks],
	]),
];

function ambiguous(
	newer: Outcome,
	older: Outcome,
	requests: readonly (readonly [input: string, headers: string, body: string, host?: string])[],
): AmbiguousFraming[] {
	return requests.map(([input, headers, body, host = 'x']) => ({ input, newer, older, host, headers, body }));
}

const get = (headers: string) => `GET /malformed HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
const post = (headers: string, body = 'x') => `POST /malformed HTTP/1.1\r\nHost: x\r\n${headers}\r\n${body}`;
const chunked = (body: string) => post('Transfer-Encoding: chunked\r\n', body);
const filler = (bytes: number) => `X: ${'x'.repeat(bytes)}\r\n`;
const handshake = get(
	Object.entries(handshakeHeaders)
		.map(([name, value]) => `${name}: ${value}\r\n`)
		.join(''),
);
/** A masked frame, its mask all zeroes, so that its payload stands there as it is. */
const frame = (firstByte: number, payload: string) => {
	const { length } = payload;
	const size = length < 126 ? [0x80 | length] : [0xfe, length >> 8, length & 0xff];
	return `${String.fromCharCode(firstByte, ...size)}\0\0\0\0${payload}`;
};

export const otherInputs: readonly OtherInput[] = [
	...others('505 of the engine', 'timed out', [
		['HTTP/1.0', ['GET /malformed HTTP/1.0\r\nHost: x\r\n\r\n']],
		['the preface of HTTP/2', ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n']],
		['an absolute target, as in `GET http://…`', ['GET http://x/malformed HTTP/1.1\r\nHost: x\r\n\r\n']],
		['`OPTIONS *`', ['OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n']],
		['CONNECT', ['CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n']],
		['a blank or a control character in the target', ['GET /a b HTTP/1.1\r\nHost: x\r\n\r\n']],
		['lines that end with LF alone', ['GET /malformed HTTP/1.1\nHost: x\n\n']],
		['a line of the PROXY protocol', [`PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n${get('')}`]],
		['TLS, to a listener that does not speak it', ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03']],
	]),
	...others('400 of the engine', 'closed', [
		['a chunk whose size is no number', [chunked('zz\r\nx\r\n0\r\n\r\n')]],
		['a chunk of 2^64 bytes and more', [chunked('ffffffffffffffffff\r\nx\r\n0\r\n\r\n')]],
	]),
	...others('400 of the engine', 'timed out', [
		['no Host', ['GET /malformed HTTP/1.1\r\n\r\n']],
		['a blank before the colon of a field', [post('Content-Length : 1\r\n')]],
		['a field over two lines', [post('X: a\r\n b\r\nContent-Length: 1\r\n')]],
		['a control character in a field', [post('X: a\0b\r\nContent-Length: 1\r\n')]],
		['LF alone in a field', [post('X: a\nContent-Length: 1\r\n')]],
	]),
	...others('timed out', 'timed out', [
		['a request that is cut short', ['GET']],
		['empty lines before a request', [`\r\n\r\n${get('')}`]],
		['a body that is cut short', [post('Content-Length: 100\r\n')]],
		['an extension of a chunk, as in `3;a=b`', [chunked('3;a=b\r\nabc\r\n0\r\n\r\n')]],
		['a letter after the size of a chunk, as in `3g`', [chunked('3g\r\nabc\r\n0\r\n\r\n')]],
		['more bytes in a chunk than its size', [chunked('3\r\nabcdef\r\n0\r\n\r\n')]],
		[
			'`Expect: 100-Continue`, not all in lower case, from a client that waits',
			[post('Expect: 100-Continue\r\nContent-Length: 1\r\n', '')],
		],
	]),
	// Host is the first.
	...others('served', 'timed out', [
		['more than 48 fields, up to 98', [get('A: b\r\n'.repeat(97))]],
		[
			'a character in the name of a field that is no letter, digit or hyphen, as in `X_Y`',
			[post("X!#$%&'*+.^_`|~Y: z\r\nContent-Length: 1\r\n", '_')],
			'_',
		],
	]),
	...others('431 of the engine', 'timed out', [['99 fields and more', [get('A: b\r\n'.repeat(98))]]]),
	...others('431 of the engine', 'closed', [
		[
			'a head of more than 4 KiB, in two reads',
			['GET /malformed HTTP/1.1\r\nHost: x\r\n', `${filler(4_000)}${filler(4_000)}\r\n`],
		],
	]),
	...others('431 of the engine', 'served', [['a head of more than 4 KiB, in one read', [get(filler(8_000))]]]),
	...others('405', 'closed', [
		['a method of another kind, such as PROPFIND', ['PROPFIND /malformed HTTP/1.1\r\nHost: x\r\n\r\n']],
	]),
	...others('413', 'closed', [['a Content-Length of ten digits to eighteen', [post('Content-Length: 10000000000\r\n')]]]),
	...others('400 of the engine', 'closed', [
		['a Content-Length of nineteen digits and more', [post('Content-Length: 18446744073709551617\r\n')]],
	]),
	...others('served, but answered with 505 of the engine', 'served', [
		['a trailer after the chunks', [chunked('3\r\nabc\r\n0\r\nX: y\r\n\r\n')], 'abc'],
	]),
	...others('served', 'served', [
		['`Expect: 100-continue`, in lower case', [post('Expect: 100-continue\r\nContent-Length: 1\r\n', 'e')], 'e'],
		[
			'`Expect: 100-Continue` from a client that does not wait',
			[post('Expect: 100-Continue\r\nContent-Length: 1\r\n', 'E')],
			'E',
		],
		['fewer bytes in a chunk than its size (those after it count)', [chunked('5\r\nabc\r\n0\r\n\r\n')], 'abc\r\n'],
		['a field without a name (it hides those after it)', [post(': x\r\nContent-Length: 1\r\n')]],
	]),
	...others('served, then closed', 'served, then closed', [
		['a Connection of any five letters', [post('Connection: abcde\r\nContent-Length: 1\r\n', 'C')], 'C'],
		['a chunk without a size (it ends the body)', [chunked('\r\nabc\r\n0\r\n\r\n')]],
	]),
	...others('closed', 'closed', [
		['websocket: a text message that is not UTF-8', [handshake, frame(0x81, '\xff')]],
		['websocket: a reserved bit', [handshake, frame(0xc1, 'x')]],
		['websocket: an unknown opcode', [handshake, frame(0x83, 'x')]],
		['websocket: a control frame of more than 125 bytes', [handshake, frame(0x89, 'x'.repeat(126))]],
		['websocket: a control frame in fragments', [handshake, frame(0x09, 'x')]],
		['websocket: a continuation of nothing', [handshake, frame(0x80, 'x')]],
		['websocket: a message of more than twice `--max-message`', [handshake, `\x81\xff\0\0\0\0\0\x02\0\x01\0\0\0\0`]],
	]),
	...others('served', 'served', [
		['websocket: a frame without the mask bit, read as if it had a mask', [handshake, '\x81\x01\0\0\0\0x'], 'x'],
	]),
];

function others(
	newer: Outcome,
	older: Outcome,
	inputs: readonly (readonly [input: string, pieces: readonly string[], publishes?: string])[],
): OtherInput[] {
	return inputs.map(([input, pieces, publishes]) => ({ input, newer, older, pieces, publishes }));
}
