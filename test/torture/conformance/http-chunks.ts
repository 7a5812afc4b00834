// RFC 9112, sections 7 and 6.2: chunked bodies, and bodies that come in two writes.
import {
	badRequest,
	chunked,
	engines,
	type HttpRow,
	type Input,
	post,
	publish,
	row,
	served,
	servedOrRefused,
	ways,
} from './http-rows.js';

const abc = { publishes: ['abc'] };
const withChunks = (...bodies: readonly string[]): Input[] => bodies.map((body) => (room) => chunked(room, body));
/** deploy/haproxy lets no chunked body pass. */
const lengthRequired = '411 open';
const servedChunked = /^(200|411) open$/;
const chunksServed = ways('200 open', '200 open', lengthRequired);
const letters = 'abcdefghijklmnopqrstuvwxyz';

export const chunkedBodies: readonly HttpRow[] = [
	row(
		'9112 7.1',
		'chunks: one, and one for each byte, sizes in upper and lower case and with up to forty zeroes, a last chunk of several zeroes',
		'It is published whole, or answered with 411.',
		withChunks(
			`1a\r\n${letters}\r\n0\r\n\r\n`,
			`1A\r\n${letters}\r\n0\r\n\r\n`,
			`${[...letters].map((letter) => `1\r\n${letter}\r\n`).join('')}0\r\n\r\n`,
			`0001a\r\n${letters}\r\n0000\r\n\r\n`,
			`${'0'.repeat(40)}1a\r\n${letters}\r\n0\r\n\r\n`,
		),
		servedChunked,
		chunksServed,
		{ publishes: [letters] },
	),
	row(
		'9112 7',
		'Transfer-Encoding in other letters',
		'It is the same field.',
		['transfer-encoding: CHUNKED', 'TRANSFER-ENCODING:Chunked'].map(
			(field) => (room: string) => post(room, `${field}\r\n`, '3\r\nabc\r\n0\r\n\r\n'),
		),
		servedChunked,
		chunksServed,
		abc,
	),
	row('9112 7.1', 'the last chunk alone', 'The body is empty.', withChunks('0\r\n\r\n'), servedChunked, chunksServed),
	row(
		'9112 7.1.1',
		'an extension of a chunk with a quoted value, without a value, and of the last chunk',
		'It is left out.',
		withChunks('3;a="b;c"\r\nabc\r\n0\r\n\r\n', '3;a\r\nabc\r\n0\r\n\r\n', '3\r\nabc\r\n0;b\r\n\r\n'),
		servedChunked,
		ways([engines('400 closed', 'closed'), 'timed out', 'timed out'], '200 open', lengthRequired),
		abc,
	),
	row(
		'9112 7.1',
		'a blank or a tab after the size',
		'It is refused, or left out.',
		withChunks('3 \r\nabc\r\n0\r\n\r\n', '3\t\r\nabc\r\n0\r\n\r\n'),
		servedOrRefused,
		chunksServed,
		abc,
	),
	row(
		'9112 7.1',
		'sizes of a chunk with a sign or a prefix: `+3`, `-3`, `0x3`',
		'It is answered with 400.',
		withChunks(...['+3', '-3', '0x3'].map((size) => `${size}\r\nabc\r\n0\r\n\r\n`)),
		badRequest,
		ways(engines('400 closed', 'closed'), '400 closed', '400 closed'),
	),
	row(
		'9112 7.1',
		'LF alone after the size, and after the bytes',
		'It is refused, or read as CRLF.',
		withChunks('3\nabc\r\n0\r\n\r\n', '3\r\nabc\n0\r\n\r\n'),
		servedOrRefused,
		ways('200 open', '200 open', engines('400 closed', lengthRequired)),
		abc,
	),
	row(
		'9112 7.4',
		'TE',
		'It is ignored.',
		(room) => publish(room, 'abc', 'TE: trailers, deflate;q=0.5\r\nConnection: TE\r\n'),
		served,
		'200 open',
		abc,
	),
];

const cut = (text: string) =>
	Array.from({ length: text.length - 1 }, (_, i) => [text.slice(0, i + 1), text.slice(i + 1)] as const);
const cuts = (make: (room: string) => string): Input[] => cut(make('/r00000')).map((_, i) => (room) => cut(make(room))[i] ?? []);
const plain = (room: string) => publish(room, 'abc');
const inChunks = (room: string) => chunked(room, '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n');

export const splits: readonly HttpRow[] = [
	row(
		'9112 6.2',
		'a POST with a Content-Length in two writes, split at every byte',
		'It is published whole.',
		cuts(plain),
		served,
		'200 open',
		abc,
	),
	row(
		'9112 7.1',
		'a chunked POST in two writes, split at every byte',
		'It is published whole; HAProxy wants a Content-Length.',
		cuts(inChunks),
		/^(200 open|411 (open|closed))$/,
		ways('200 open', '200 open', '411 open|411 closed'),
		abc,
	),
];
