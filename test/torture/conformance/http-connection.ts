// RFC 9112, sections 8 and 9: several requests on a connection, its end, and messages that are cut short.
import { chunked, get, type HttpRow, type Input, method, publish, row, ways } from './http-rows.js';

const texts = Array.from({ length: 16 }, (_, i) => `text ${i}`);
const withConnection = (...values: readonly string[]): Input[] =>
	values.map((value) => (room) => publish(room, 'a', `Connection: ${value}\r\n`));
const a = { publishes: ['a'] };
const goesOn = /^200 open$/;
const ends = /^200 closed$/;

export const persistence: readonly HttpRow[] = [
	row(
		'9112 9.3',
		'a POST, and another request when it is answered',
		'Both are served, on one connection.',
		(room) => publish(room, 'a'),
		goesOn,
		'200 open',
		a,
	),
	row(
		'9112 9.3.2',
		'16 POSTs at once',
		'They have 16 answers, and 16 messages in their order.',
		(room) => texts.map((text) => publish(room, text)).join(''),
		/^(200 ){16}open$/,
		`${'200 '.repeat(16)}open`,
		{ publishes: texts, methods: texts.map(() => 'POST') },
	),
	row(
		'9112 9.3.2',
		'a POST, a GET of a malformed path, a POST, a DELETE and a POST at once',
		'They are answered in their order.',
		(room) =>
			[publish(room, 'a'), get('/%ff'), publish(room, 'b'), get(room).replace('GET', 'DELETE'), publish(room, 'c')].join(''),
		/^200 400 200 405 200 open$/,
		'200 400 200 405 200 open',
		{ publishes: ['a', 'b', 'c'] },
	),
	row(
		'9112 9.6',
		'`Connection: close`, also in other letters, among other tokens, in a second field, beside empty elements',
		'The connection ends after the answer, which says so.',
		withConnection('close', 'CLOSE', 'TE, close', 'keep-alive,close', ',, close ,', 'X\r\nConnection: close'),
		ends,
		'200 closed',
		{ ...a, shows: { fields: { connection: 'close' } } },
	),
	row(
		'9112 9.6',
		'`Connection: close`, and another POST in the same read',
		'The second POST is not served.',
		(room) => `${publish(room, 'a', 'Connection: close\r\n')}${publish(room, 'b')}`,
		ends,
		ways('closed, 1 published', '200 closed', '200 closed'),
		{ publishes: ['a'], note: 'A client that does this breaks RFC 9112 itself, and loses the answer to the first.' },
	),
	row(
		'9112 9.6',
		'`Connection: close` of a HEAD and an OPTIONS',
		'The connection ends after the answer.',
		['HEAD', 'OPTIONS'].map((name) => method(name, 'Connection: close\r\n')),
		/^20[04] closed$/,
		ways(['200 closed', '204 closed'], ['200 closed', '204 closed'], ['200 closed', '204 closed']),
	),
	row(
		'9112 9.6',
		'`close` among other tokens of a HEAD and an OPTIONS',
		'The connection ends after the answer.',
		['HEAD', 'OPTIONS'].map((name) => method(name, 'Connection: TE, close\r\n')),
		/^20[04] closed$/,
		ways(['200 open', '204 open'], ['200 closed', '204 closed'], ['200 closed', '204 closed']),
	),
	row(
		'9110 7.6.1',
		'Connection with keep-alive, an unknown token, names of fields, or nothing',
		'The connection goes on.',
		withConnection('keep-alive', 'x-y, z', '', 'Host, Content-Length', 'closed'),
		goesOn,
		ways('200 open', ['200 open', '200 open', '200 open', '200 open', '200 closed'], '200 open'),
		{ ...a, note: 'nginx takes `closed` for `close`.' },
	),
	row(
		'9112 C.2.2',
		'Keep-Alive and Proxy-Connection',
		'They are ignored.',
		(room) => publish(room, 'a', 'Keep-Alive: timeout=1, max=1\r\nProxy-Connection: close\r\n'),
		goesOn,
		'200 open',
		a,
	),
];

const plain = (room: string) => publish(room, 'whole');
const inChunks = (room: string) => chunked(room, '2\r\nwh\r\n3\r\nole\r\n0\r\n\r\n');
/** All of it but its last bytes. */
const cutShort =
	(make: (room: string) => string, bytes: number): Input =>
	(room) =>
		make(room).slice(0, -bytes);
const short: Input[] = [
	cutShort(plain, 1),
	cutShort(plain, 5),
	cutShort(plain, 7),
	cutShort(inChunks, 5),
	cutShort(inChunks, 9),
	(room) => plain(room).slice(0, 9),
];

export const incomplete: readonly HttpRow[] = [
	row(
		'9112 8',
		'a client that leaves in a head, in a body, in a chunk and before the last chunk',
		'Nothing is published.',
		short,
		/^left$/,
		'left',
		{ client: 'leaves' },
	),
	row(
		'9112 8',
		'a client that ends its side in a head, in a body, in a chunk and before the last chunk',
		'It is refused or disconnected, and nothing is published.',
		short,
		/^(4\d\d )?closed$/,
		ways('closed', 'closed', 'closed|400 closed|411 closed'),
		{ client: 'ends its side' },
	),
	row(
		'9112 7.1',
		'a client that leaves after the last chunk, and before the empty line',
		'Nothing is published.',
		cutShort(inChunks, 2),
		/^left$/,
		ways('left, 1 published', 'left', 'left'),
		{ client: 'leaves', publishes: ['whole'], note: 'The engine does not wait for the empty line.' },
	),
];
