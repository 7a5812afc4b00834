// RFC 9112, sections 3.2 and 5: Host, and the syntax and the number of fields.
import {
	badRequest,
	engines,
	type HttpRow,
	type Input,
	publish,
	row,
	served,
	servedOr4xx,
	servedOrRefused,
	ways,
} from './http-rows.js';

/** A message that is published if the server reads past these fields. */
const withFields = (...fields: readonly string[]): Input[] => fields.map((field) => (room) => publish(room, 'x', field));
const withHost = (...hosts: readonly string[]): Input[] =>
	hosts.map((host) => (room) => `POST ${room} HTTP/1.1\r\nHost:${host}\r\nContent-Length: 1\r\n\r\nx`);
const many = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: y\r\n`).join('');
const x = { publishes: ['x'] };
const malformed = engines('400 closed', 'timed out');

export const hosts: readonly HttpRow[] = [
	row(
		'9112 3.2',
		'Host with a port, an address, an IPv6 address, an encoded character',
		'It is served.',
		withHost(' x:80', ' 127.0.0.1:0', ' [::1]', ' [::1]:8081', ' a.b-c_d~', ' x:'),
		served,
		'200 open',
		x,
	),
	row(
		'9110 7.2',
		'an empty Host',
		'It is served, or refused.',
		withHost('', ' '),
		servedOrRefused,
		ways('200 open', '400 closed', '200 open'),
		x,
	),
	row(
		'9112 3.2',
		'two equal Host fields, with another field between them',
		'It is answered with 400.',
		(room) => `POST ${room} HTTP/1.1\r\nHost: x\r\nX: y\r\nContent-Length: 1\r\nHost: x\r\n\r\nx`,
		badRequest,
		ways('400 closed', '400 closed', '200 open'),
		{ ...x, note: 'HAProxy passes on one of two that are equal.' },
	),
];

export const fieldSyntax: readonly HttpRow[] = [
	row(
		'9112 5',
		'names of fields in any letters, blanks around a value, several or none, an empty value, bytes above 0x7f in a value',
		'It is served.',
		[
			(room) => `POST ${room} HTTP/1.1\r\nhOST:x\r\nCONTENT-length:1\r\n\r\nx`,
			(room) => `POST ${room} HTTP/1.1\r\nHost:   x   \r\nContent-Length:   1   \r\n\r\nx`,
			...withFields('X:\r\n', 'X:   \r\n', 'X: \t \r\n', 'X: a\x80\xff\xe9b\r\n', 'X: caf\xc3\xa9 x\r\n'),
		],
		served,
		'200 open',
		x,
	),
	row(
		'9112 5',
		'tabs around a value',
		'They do not belong to the value.',
		(room) => `POST ${room} HTTP/1.1\r\nHost:\tx\t\r\nContent-Length:\t1\t\r\n\r\nx`,
		served,
		ways('200 open', '400 closed', '200 open'),
		{ ...x, note: 'nginx refuses them in Host and Content-Length.' },
	),
	row(
		'9112 2.2',
		'a line that begins with a blank, before the first field',
		'It is refused, or left out.',
		(room) => `POST ${room} HTTP/1.1\r\n X: y\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`,
		servedOrRefused,
		ways(malformed, '400 closed', '400 closed'),
		x,
	),
	row(
		'9112 2.2',
		'CR alone in a field',
		'It is refused, or read as a blank.',
		withFields('X: a\rb\r\n'),
		servedOrRefused,
		ways(engines('400 closed|timed out', 'timed out'), '400 closed', '400 closed'),
		x,
	),
	row(
		'9112 5',
		'a line without a colon, and a name with a character that no token has',
		'It is refused, or the field left out.',
		withFields(
			'X\r\n',
			...['(', ')', '/', ',', ';', '@', '[', '{', '"', '=', '<', '?', '\x80', '\xff'].map((character) => `X${character}Y: z\r\n`),
		),
		servedOrRefused,
		ways(malformed, '200 open', '400 closed'),
		x,
	),
	row(
		'9112 5.1',
		'a control character, a blank or a tab in the name of a field, and a tab before the colon',
		'It is answered with 400.',
		withFields(...['\x00Y', '\x01Y', '\x7fY', '\rY', ' Y', '\tY', '\t'].map((rest) => `X${rest}: z\r\n`)),
		badRequest,
		ways(malformed, '400 closed', '400 closed'),
		x,
	),
	row(
		'9112 5.2',
		'a field over two lines, the second with a tab, or of blanks only',
		'It is answered with 400, or joined with blanks.',
		withFields('X: a\r\n\tb\r\n', 'X:\r\n a\r\n', 'X: a\r\n \r\n'),
		servedOrRefused,
		ways(malformed, '400 closed', '200 open'),
		x,
	),
	row(
		'9110 5.5',
		'control characters but CR, LF and NUL in a value',
		'It is refused, or they belong to the value.',
		withFields(...['\x01', '\x08', '\x0b', '\x0c', '\x1f'].map((character) => `X: a${character}b\r\n`)),
		servedOrRefused,
		ways(malformed, '200 open', '200 open'),
		x,
	),
	row('9110 5.4', '48 fields', 'It is served.', withFields(many(46)), served, '200 open', x),
	row(
		'9110 5.4',
		'1,000 fields',
		'It is served, or answered with a status of 4xx.',
		withFields(many(998)),
		servedOr4xx,
		ways(engines('431 closed', 'closed'), '200 open', '400 closed'),
		x,
	),
	row(
		'9110 5.4',
		'a field of 3,800 bytes',
		'It is served.',
		withFields(`Cookie: ${'c'.repeat(3_800)}\r\n`),
		served,
		'200 open',
		x,
	),
	row(
		'9110 5.4',
		'a field of 40,000 bytes, in one read',
		'It is served, or answered with a status of 4xx.',
		withFields(`Cookie: ${'c'.repeat(40_000)}\r\n`),
		servedOr4xx,
		ways(engines('431 closed', '200 open'), '400 closed', '400 closed'),
		x,
	),
];
