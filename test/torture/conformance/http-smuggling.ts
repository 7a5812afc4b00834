// RFC 9112, section 11.2: requests that hide in the body of another.
import { engines, type HttpRow, type Input, post, publish, refused, row, served, ways } from './http-rows.js';

const hidden = (room: string) => publish(room, 'hidden');

/** One side may see this Transfer-Encoding, and another not. */
const disguised = (...fields: readonly string[]): Input[] =>
	fields.map((field) => (room) => {
		const body = `0\r\n\r\n${hidden(room)}`;
		return post(room, `Content-Length: ${body.length}\r\n${field}`, body);
	});
const other = (...fields: readonly string[]): Input[] =>
	fields.map((field) => (room) => post(room, field, `0\r\n\r\n${hidden(room)}`));
const nearly = `0\r\n\r\n${hidden('/r')}`;

export const smuggling: readonly HttpRow[] = [
	row(
		'9112 11.2',
		'CL.TE: Content-Length and chunked, and a request after the last chunk',
		'It is refused, and no hidden message is published.',
		disguised('Transfer-Encoding: chunked\r\n'),
		refused,
		ways(engines('400 closed', 'closed'), '400 closed', '411 closed'),
	),
	row(
		'9112 11.2',
		'TE.CL: a Content-Length that ends before a request in a chunk',
		'It is refused, and no hidden message is published.',
		(room) =>
			post(
				room,
				'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n',
				`${hidden(room).length.toString(16)}\r\n${hidden(room)}\r\n0\r\n\r\n`,
			),
		refused,
		ways(engines('400 closed', 'closed'), '400 closed', '411 closed'),
	),
	row(
		'9112 11.2',
		'TE.TE: `chunked` beside another coding, in two fields and in one, with a parameter, quoted, misspelt',
		'It is refused, or the connection is closed, and no hidden message is published.',
		other(
			'Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n',
			'Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n',
			'Transfer-Encoding: chunked, identity\r\n',
			'Transfer-Encoding: identity, chunked\r\n',
			'Transfer-Encoding: chunked;q=1\r\n',
			'Transfer-Encoding: "chunked"\r\n',
			'Transfer-Encoding: chunke\r\n',
		),
		/^((4\d\d|501) )?closed$/,
		ways(
			'closed',
			['400 closed', '400 closed', '501 closed', '501 closed', '501 closed', '501 closed', '501 closed'],
			['400 closed', '422 closed', '400 closed', '422 closed', '400 closed', '400 closed', '400 closed'],
		),
	),
	row(
		'9112 11.2',
		'a Transfer-Encoding behind a blank, a control character or a line end, beside a Content-Length',
		'It is refused, and no hidden message is published.',
		disguised(
			'Transfer-Encoding : chunked\r\n',
			'Transfer-Encoding: \x0bchunked\r\n',
			'Transfer-Encoding: chunked\x00\r\n',
			'X: y\nTransfer-Encoding: chunked\r\n',
			'Transfer-Encoding:\r\n chunked\r\n',
			' Transfer-Encoding: chunked\r\n',
			'Transfer-Encoding\x00: chunked\r\n',
		),
		refused,
		ways(
			engines('400 closed', 'timed out'),
			['400 closed', '501 closed', '400 closed', '400 closed', '400 closed', '400 closed', '400 closed'],
			['400 closed', '400 closed', '400 closed', '411 closed', '411 closed', '400 closed', '400 closed'],
		),
	),
	row(
		'9112 11.2',
		'a Transfer-Encoding after CR alone, beside a Content-Length',
		'It is refused, and no hidden message is published.',
		disguised('X: y\rTransfer-Encoding: chunked\r\n'),
		refused,
		ways('timed out', '400 closed', '400 closed'),
	),
	row(
		'9112 11.2',
		'names that are nearly Transfer-Encoding, as X-Transfer-Encoding',
		'They are other fields: the body has its Content-Length.',
		['X-Transfer-Encoding', 'Transfer-Encodin', 'TransferEncoding'].map(
			(name) => (room: string) => publish(room, nearly, `${name}: chunked\r\n`),
		),
		served,
		'200 open',
		{ publishes: [nearly] },
	),
	row(
		'9112 11.2',
		'names that are nearly Content-Length, as X-Content-Length',
		'They are other fields: there is no body, and a request follows.',
		['Content-Lengt', 'X-Content-Length'].map(
			(name) => (room: string) => `${post(room, `${name}: 5\r\n`, '')}${publish(room, 'next')}`,
		),
		/^200 200 open, 1 published$/,
		'200 200 open, 1 published',
		{ publishes: ['next'], methods: ['POST', 'POST'] },
	),
];
