// RFC 9110, sections 7 to 10 and 15: methods, and the fields about a body.
import { badRequest, get, type HttpRow, type Input, post, publish, row, served, ways } from './http-rows.js';

const method =
	(name: string, fields = ''): Input =>
	(room) =>
		get(room, fields).replace('GET', name);
const gets = (field: string, ...values: readonly string[]): Input[] =>
	values.map((value) => method('GET', `${field}: ${value}\r\n`));
const page = { shows: { fields: { 'content-type': 'text/html; charset=utf-8' }, body: /^<!doctype html>[\s\S]*<\/html>\s*$/ } };
const allow = { shows: { fields: { allow: 'GET, HEAD, POST, PUT, OPTIONS' } } };
const abc = { publishes: ['abc'] };

export const methods: readonly HttpRow[] = [
	row('9110 9.3.1', 'a GET', 'It is answered with the page.', method('GET'), served, '200 open', page),
	row(
		'9110 9.3.2',
		'a HEAD',
		'It has the fields of a GET, its Content-Length too, and no body.',
		method('HEAD'),
		served,
		'200 open',
		{ shows: { fields: { 'content-type': 'text/html; charset=utf-8', 'content-length': /^\d{4,}$/, etag: /^"/ } } },
	),
	row(
		'9110 9.3.2',
		'a HEAD of a malformed path',
		'It has the Content-Length of the reason, and no body.',
		() => get('/%ff').replace('GET', 'HEAD'),
		/^400 /,
		'400 open',
		{ shows: { fields: { 'content-length': /^\d\d$/ } } },
	),
	row(
		'9110 9.3.2',
		'a HEAD with two Content-Length fields',
		'It is refused, and the answer has no body.',
		(room) => get(room, 'Content-Length: 1\r\nContent-Length: 2\r\n').replace('GET', 'HEAD'),
		badRequest,
		ways('400 closed', '400 closed', '400 malformed'),
		{ note: 'HAProxy sends a body.' },
	),
	row(
		'9110 9.3.3',
		'a POST and a PUT',
		'They are answered with OK and the number of subscribers.',
		['POST', 'PUT'].map((name) => (room: string) => publish(room, 'abc').replace('POST', name)),
		served,
		'200 open',
		{ ...abc, shows: { fields: { 'x-subscribers': '1', 'content-type': 'text/plain; charset=utf-8' }, body: 'OK\n' } },
	),
	row('9110 9.3.7', 'an OPTIONS', 'It is answered with 204 and Allow.', method('OPTIONS'), /^204 open$/, '204 open', allow),
	row(
		'9110 15.5.6',
		'a DELETE and a PATCH',
		'They are answered with 405 and Allow.',
		[method('DELETE'), method('PATCH')],
		/^405 open$/,
		'405 open',
		allow,
	),
	row(
		'9110 9.3.8',
		'a TRACE',
		'It is answered with 405, and nothing of the request is in the answer.',
		method('TRACE', 'Cookie: secret\r\n'),
		/^405 /,
		ways('405 open', '405 closed', '405 open'),
		{ shows: { body: /^(?![\s\S]*secret)/ }, note: 'nginx answers by itself, without Allow.' },
	),
	row(
		'9110 6.6.1',
		'an answer with 200, 204 and 400',
		'It has a Date.',
		[method('GET'), method('OPTIONS'), () => get('/%ff')],
		/^(200|204|400) open$/,
		ways(['200 open', '204 open', '400 open'], ['200 open', '204 open', '400 open'], ['200 open', '204 open', '400 open']),
		{ shows: { fields: { date: /GMT$/ } } },
	),
	row(
		'9110 7.8',
		'Upgrade to h2c and to TLS',
		'It is ignored.',
		[
			method('GET', 'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n'),
			method('GET', 'Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n'),
		],
		served,
		'200 open',
		page,
	),
	row(
		'9110 15.5.22',
		'a handshake of websocket version 8',
		'It is answered with 426 and Upgrade.',
		method(
			'GET',
			'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
		),
		/^426 /,
		'426 open',
		{ shows: { fields: { 'sec-websocket-version': '13', upgrade: 'websocket' } } },
	),
];

const expecting = (room: string) => [post(room, 'Expect: 100-continue\r\nContent-Length: 3\r\n', ''), 'abc'];

export const content: readonly HttpRow[] = [
	row(
		'9110 10.1.1',
		'`Expect: 100-continue` of a client that waits',
		'It gets 100, and then 200.',
		expecting,
		/^100 200 open$/,
		'100 200 open',
		{ ...abc, waitsFor100: true },
	),
	row(
		'9110 10.1.1',
		'`Expect: 100-continue` and a Content-Length over --max-message',
		'It gets 413, at once or after 100.',
		(room) => post(room, 'Expect: 100-continue\r\nContent-Length: 65537\r\n', ''),
		/^(100 )?413$/,
		ways('100 413', '413', '100 413'),
		{ client: 'leaves' },
	),
	row(
		'9110 10.1.1',
		'another expectation',
		'It is answered with 417, or ignored.',
		(room) => publish(room, 'abc', 'Expect: x\r\n'),
		/^(200|417) open$/,
		'200 open',
		abc,
	),
	row(
		'9110 8.3',
		'Content-Type: any, an empty one, one that is malformed',
		'It is ignored.',
		['application/json', 'text/plain; charset=latin1', 'x', '', 'multipart/form-data; boundary=x'].map(
			(type) => (room: string) => publish(room, 'abc', `Content-Type: ${type}\r\n`),
		),
		served,
		'200 open',
		abc,
	),
	row(
		'9110 8.4',
		'`Content-Encoding: gzip`, and codings that are unknown',
		'It is answered with 415 and `Accept-Encoding: identity`.',
		['gzip', 'x', 'gzip, identity'].map((coding) => (room: string) => publish(room, 'abc', `Content-Encoding: ${coding}\r\n`)),
		/^415 /,
		'415 open',
		{ shows: { fields: { 'accept-encoding': 'identity' } } },
	),
	row(
		'9110 8.4.1',
		'`Content-Encoding: identity`',
		'It is served.',
		(room) => publish(room, 'abc', 'Content-Encoding: identity\r\n'),
		served,
		'200 open',
		abc,
	),
	row(
		'9110 15.5.1',
		'a body that is not UTF-8',
		'It is answered with 400.',
		(room) => publish(room, '\xff\xfe'),
		/^400 open$/,
		'400 open',
		{ shows: { body: /not valid UTF-8/ } },
	),
	row(
		'9110 14.2',
		'Range and If-Range, also malformed',
		'They are ignored: the whole page comes.',
		[
			...gets('Range', 'bytes=0-0', 'bytes=-1', 'bytes=9-1', 'x', 'bytes=0-0,2-2'),
			method('GET', 'Range: bytes=0-0\r\nIf-Range: <etag>\r\n'),
		],
		served,
		'200 open',
		page,
	),
];
