// RFC 9112, section 6: bodies with a Content-Length.
import { badRequest, chunked, engines, type HttpRow, type Input, post, publish, row, served, ways } from './http-rows.js';

const hidden = (room: string) => publish(room, 'hidden');
const abc = { publishes: ['abc'] };
const withLength = (...values: readonly string[]): Input[] =>
	values.map((value) => (room) => post(room, `Content-Length: ${value}\r\n`, 'abc'));

export const lengths: readonly HttpRow[] = [
	row(
		'9112 6.3',
		'Content-Length: 0, and a POST without Content-Length and Transfer-Encoding',
		'The body is empty: 200, and nothing is published.',
		[(room) => post(room, 'Content-Length: 0\r\n', ''), (room) => post(room, '', '')],
		served,
		'200 open',
	),
	row(
		'9110 8.6',
		'a Content-Length with leading zeroes: one, six and twenty',
		'It is the same number.',
		withLength('03', '0000003', `${'0'.repeat(20)}3`),
		served,
		ways(['200 open', '200 open', engines('400 closed', 'closed')], '200 open', [
			'200 open',
			'200 open',
			engines('200 open', '502 open'),
		]),
		abc,
	),
	row(
		'9112 6.3',
		'a Content-Length that is no number: `3;`, `3.0`, `3e0`, `a`, `"3"`, `3,`, `3,4`',
		'It is answered with 400.',
		withLength('3;', '3.0', '3e0', 'a', '"3"', '3,', ',3', '3,4'),
		badRequest,
		ways(engines('400 closed', 'closed'), '400 closed', '400 closed'),
	),
	row(
		'9112 6.3',
		'three different Content-Length fields, each in other letters',
		'It is answered with 400.',
		(room) => post(room, 'Content-Length: 3\r\ncontent-length: 2\r\nCONTENT-LENGTH: 1\r\n', 'abc'),
		badRequest,
		'400 closed',
	),
	row(
		'9112 6',
		'a body that holds a request',
		'It is published as it is, and no request runs.',
		(room) => publish(room, hidden('/r')),
		served,
		'200 open',
		{ publishes: [hidden('/r')] },
	),
	row(
		'9112 6',
		'a GET, a HEAD, an OPTIONS and a DELETE whose body holds a request',
		'Each has one answer, and the body is no request.',
		['GET', 'HEAD', 'OPTIONS', 'DELETE'].map((method) => (room: string) => publish(room, hidden(room)).replace('POST', method)),
		/^(200|204|405) open$/,
		ways(
			['200 open', '200 open', '204 open', '405 open'],
			['200 open', '200 open', '204 open', '405 open'],
			['200 open', '200 open', '204 open', '405 open'],
		),
	),
	row(
		'9110 15.5.14',
		'a body of exactly 65,536 bytes, as --max-message allows',
		'It is published.',
		(room) => publish(room, 'x'.repeat(65_536)),
		served,
		'200 open',
		{ publishes: ['x'.repeat(65_536)] },
	),
	row(
		'9110 15.5.14',
		'a body of 65,537 bytes, and a chunked one',
		'It is answered with 413, or with 411 if it is chunked.',
		[
			(room) => publish(room, 'x'.repeat(65_537)),
			(room) => chunked(room, `10000\r\n${'x'.repeat(65_536)}\r\n1\r\nx\r\n0\r\n\r\n`),
		],
		/^41[13] (open|closed)$/,
		ways('413 open', '413 closed', ['413 open', '411 open|411 closed']),
	),
];
