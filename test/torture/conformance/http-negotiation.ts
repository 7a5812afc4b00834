// RFC 9110, sections 12 and 13: conditions and negotiation.
import { thisEngine } from '../../support/malformed.js';
import { engines, gets, type HttpRow, method, page, publish, row, served, ways } from './http-rows.js';

const abc = { publishes: ['abc'] };

const notModified = /^304 open$/;
const fresh = { shows: { fields: { etag: /^"/, 'content-length': '', 'content-type': '' } } };

export const conditions: readonly HttpRow[] = [
	row(
		'9110 13.1.1',
		'`If-Match: *` of a POST to a path with a subscriber',
		'It is published.',
		(room) => publish(room, 'abc', 'If-Match: *\r\n'),
		served,
		'200 open',
		abc,
	),
	row(
		'9110 13.1.1',
		'`If-Match: *` of a POST to a path without subscribers, and an entity tag',
		'It is answered with 412, and nothing is published.',
		[(room) => publish(`${room}/none`, 'abc', 'If-Match: *\r\n'), (room) => publish(room, 'abc', 'If-Match: "x"\r\n')],
		/^412 open$/,
		'412 open',
	),
	row(
		'9110 13.1.1',
		'If-Match of a GET, with the entity tag of the page, in a list, and `*`',
		'It is served.',
		gets('If-Match', '<etag>', '"x", <etag>', '*'),
		served,
		'200 open',
		page,
	),
	row(
		'9110 13.1.1',
		'If-Match of a GET, with another entity tag, and a weak one',
		'It is answered with 412.',
		gets('If-Match', '"x"', 'W/<etag>'),
		/^412 open$/,
		'412 open',
	),
	row(
		'9110 13.1.2',
		'If-None-Match with the entity tag of the page: alone, weak, in a list, of a HEAD; and `*`',
		'It is answered with 304 and the ETag, without a length.',
		[
			...gets('If-None-Match', '<etag>', 'W/<etag>', '"x", <etag>', '"x",W/<etag>,"y"', '*'),
			method('HEAD', 'If-None-Match: <etag>\r\n'),
		],
		notModified,
		'304 open',
		fresh,
	),
	row(
		'9110 13.1.2',
		'If-None-Match with other entity tags, and malformed ones',
		'The page comes.',
		gets('If-None-Match', '"x"', 'x', '', '"*"', 'w/<etag>', '<etag>x', '"<etag>"'),
		served,
		'200 open',
		page,
	),
	row(
		'9110 13.1.2',
		'If-None-Match with the entity tag of another coding',
		'The page comes in the coding that is asked for.',
		method('GET', 'Accept-Encoding: gzip\r\nIf-None-Match: <etag>\r\n'),
		served,
		'200 open',
		{ shows: { fields: { 'content-encoding': 'gzip' } } },
	),
	row(
		'9110 13.1.3',
		'If-Modified-Since and If-Unmodified-Since',
		'They are ignored, as the page has no Last-Modified.',
		[
			...gets('If-Modified-Since', 'Fri, 01 Jan 2100 00:00:00 GMT', 'x'),
			...gets('If-Unmodified-Since', 'Sat, 01 Jan 2000 00:00:00 GMT', 'x'),
		],
		served,
		'200 open',
		page,
	),
];

const coded = (thrown: string, coding: string, ...values: readonly string[]) =>
	row(
		'9110 12.5.3',
		`Accept-Encoding: ${thrown}`,
		coding === '' ? 'The page comes without a coding.' : `The page comes in ${coding}.`,
		gets('Accept-Encoding', ...values),
		served,
		'200 open',
		{ shows: { fields: { 'content-encoding': coding, vary: /Accept-Encoding/ } } },
	);
/** The body of a stream does not end: only its head is read. */
const stream = {
	methods: ['HEAD'],
	client: 'leaves',
	shows: { fields: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', vary: /Accept/, 'content-encoding': '' } },
} as const;

export const negotiation: readonly HttpRow[] = [
	coded(
		'gzip, in other letters, beside unknown codings, empty elements, a tab',
		'gzip',
		'gzip',
		'GZIP',
		'deflate, zstd, gzip',
		',, gzip ,',
		'x;q=1,\tgzip ; q=0.3',
	),
	coded('br with the larger weight, or the same', 'br', 'gzip;q=0.5, br;q=0.8', 'gzip, br', 'gzip;q=0.001,br;q=0.002'),
	coded('`br;q=0`, and gzip or all others', 'gzip', 'br;q=0, gzip;q=0.1', 'br;q=0, *', 'br;q=0.000, gzip;q=1.000'),
	coded(
		'weights of 0, none, unknown codings',
		'',
		'*;q=0',
		'identity;q=0, *;q=0',
		'gzip;q=0, br;q=0.0',
		'',
		'deflate, zstd',
		'identity',
	),
	coded('malformed weights', '', 'gzip;q=x, br;q=', 'gzip;q=-1'),
	row(
		'9110 5.3',
		'gzip in a second Accept-Encoding field',
		'The fields are one list: the page comes in gzip.',
		method('GET', 'Accept-Encoding: x\r\nAccept-Encoding: gzip\r\n'),
		served,
		'200 open',
		{
			shows: { fields: { 'content-encoding': 'gzip' } },
			unshown: thisEngine === 'older' ? ['nginx'] : [],
			note: engines('', 'This nginx passes on the first of the fields alone: the page comes without a coding.'),
		},
	),
	row(
		'9110 12.5.1',
		'Accept with text/event-stream: alone, in other letters, beside `*/*`, with a parameter',
		'It is answered with an event stream, without a coding.',
		['text/event-stream', 'TEXT/Event-Stream', 'text/event-stream, */*', 'text/event-stream;charset=utf-8;q=0.5'].map((value) =>
			method('GET', `Accept: ${value}\r\nAccept-Encoding: gzip\r\n`),
		),
		/^200$/,
		'200',
		stream,
	),
	row(
		'9110 12.5.1',
		'a HEAD with such an Accept',
		'It has the fields of the stream, and does not subscribe.',
		method('HEAD', 'Accept: text/event-stream\r\n'),
		served,
		'200 open',
		{ shows: stream.shows },
	),
	row(
		'9110 12.5.1',
		'a GET with such an Accept and a body',
		'It is answered with 400.',
		(room) => publish(room, 'abc', 'Accept: text/event-stream\r\n').replace('POST', 'GET'),
		/^400 (open|closed)$/,
		ways('400 closed', '400 open', '400 open'),
	),
	row(
		'9110 12.5.1',
		'Accept with `text/event-stream;q=0`, with text/html, with wildcards, malformed, empty',
		'It is answered with the page.',
		gets(
			'Accept',
			'text/event-stream;q=0',
			'text/event-stream;q=0, */*',
			'*/*',
			'text/html, text/event-stream',
			'text/event-stream;q=0.1, text/*',
			'x',
			'',
			';q=1,,',
			'text/event-stream;q=x',
		),
		served,
		'200 open',
		page,
	),
];
