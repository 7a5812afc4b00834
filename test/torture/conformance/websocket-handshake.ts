// RFC 6455, section 4.2: handshakes, as requests in bytes, and their answers.
import { createHash } from 'node:crypto';
import { handshakeHeaders } from '../../support/http.js';
import type { Random } from '../../support/random.js';
import type { Answer, HandshakeCase, HandshakeRow } from './handshaking.js';

/** A field is sent once for each of its values. */
type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

function request(fields: Fields, method = 'GET', body = ''): string {
	const lines = Object.entries({ Host: 'localhost', ...fields }).flatMap(([name, values]) =>
		values === undefined ? [] : [values].flat().map((value) => `${name}: ${value}\r\n`),
	);
	return `${method} /handshake HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** A complete handshake, but for these fields. */
export function handshake(fields: Fields = {}, method?: string, body?: string): string {
	return request({ ...handshakeHeaders, ...fields }, method, body);
}

// The example of section 1.3.
const usualAccept = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
export const upgraded: Answer = {
	status: 101,
	fields: {
		upgrade: 'websocket',
		'sec-websocket-accept': usualAccept,
		'sec-websocket-protocol': undefined,
		'sec-websocket-extensions': undefined,
	},
};

function keyed(key: string): HandshakeCase {
	const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
	return { sends: [handshake({ 'Sec-WebSocket-Key': key })], status: 101, fields: { 'sec-websocket-accept': accept } };
}

function with400(names: string, each: Fields): HandshakeCase {
	return { sends: [handshake(each)], status: 400, names };
}

const keysOfOtherLengths = [
	'',
	'x',
	'dGhlIHNhbXBsZSBub25jZ',
	'dGhlIHNhbXBsZSBub25jZQ',
	'dGhlIHNhbXBsZSBub25jZQ=',
	'dGhlIHNhbXBsZSBub25jZQ===',
	'dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==',
];
const otherKeys = [
	'dGhlIHNhbXBsZSBub25jZTEy',
	'dGhlIHNhbXBsZSBub25jZTE=',
	'dGhlIHNhbXBsZSBub25jZQ!!',
	'dGhl IHNhbXBsZSBub25jZQ=',
];
const versions = ['0', '1', '7', '8', '12', '14', '130', '255', '256', '-13', '013', '13.0', '13, 8', '8, 13', 'x', ''];
export const version426 = { status: 426, fields: { 'sec-websocket-version': '13' } };

const ownRefusal = {
	answer: () => ({ status: 400, names: '400 Bad request' }),
	says: 'refused by HAProxy itself with 400, in words of its own.',
};

export function handshakeRows(random: Random): HandshakeRow[] {
	const randomKey = () => Buffer.from(Array.from({ length: 16 }, () => random.below(256))).toString('base64');
	const complete = handshake();
	return [
		{
			section: '4.2.2',
			thrown: 'handshakes with the key of the RFC, with 16 bytes of zero, of 255, and 32 keys at random',
			promised: 'Each is answered with 101 and the accept value of its key.',
			cases: [
				handshakeHeaders['Sec-WebSocket-Key'],
				Buffer.alloc(16).toString('base64'),
				Buffer.alloc(16, 255).toString('base64'),
				...Array.from({ length: 32 }, randomKey),
			].map(keyed),
		},
		{
			section: '4.2.1',
			thrown: 'handshakes without a key',
			promised: 'Refused with 400, and a line that names the field.',
			cases: [with400('Sec-WebSocket-Key', { 'Sec-WebSocket-Key': undefined })],
			through: { HAProxy: ownRefusal },
		},
		{
			section: '4.2.1',
			thrown: 'handshakes with keys of more and less than 24 characters, and two keys in one field',
			promised: 'Refused with 400, and a line that names the field.',
			cases: keysOfOtherLengths.map((key) => with400('Sec-WebSocket-Key', { 'Sec-WebSocket-Key': key })),
			through: { HAProxy: ownRefusal },
		},
		{
			section: '4.2.1',
			thrown: 'handshakes with keys of 24 characters that are not the base64 of 16 bytes',
			promised: 'Refused with 400, and a line that names the field.',
			cases: otherKeys.map((key) => with400('Sec-WebSocket-Key', { 'Sec-WebSocket-Key': key })),
		},
		{
			section: '4.4',
			thrown: 'handshakes without a version',
			promised: 'Refused with 426 and Sec-WebSocket-Version: 13.',
			cases: [{ sends: [handshake({ 'Sec-WebSocket-Version': undefined })], ...version426 }],
		},
		{
			section: '4.4',
			thrown: `handshakes with the versions ${versions.filter((each) => each !== '').join('; ')}; and an empty one`,
			promised: 'Refused with 426 and Sec-WebSocket-Version: 13.',
			cases: versions.map((each) => ({ sends: [handshake({ 'Sec-WebSocket-Version': each })], ...version426 })),
		},
		{
			section: '4.2.1',
			thrown: 'handshakes without Upgrade',
			promised: 'Refused with 400, and a line that names the field.',
			cases: [with400('Upgrade', { Upgrade: undefined })],
		},
		{
			section: '4.2.1',
			thrown: 'handshakes whose Upgrade is empty, h2c, websocketx, web socket, or websocket/13',
			promised: 'Refused with 400, and a line that names the field.',
			cases: ['', 'h2c', 'websocketx', 'web socket', 'websocket/13'].map((each) => with400('Upgrade', { Upgrade: each })),
		},
		{
			section: '4.2.1',
			thrown: 'handshakes whose Upgrade is in other letters, or a list',
			promised: 'Answered with 101.',
			cases: ['WebSocket', 'WEBSOCKET', 'h2c, websocket', 'websocket, h2c', 'h2c,,WebSocket'].map((each) => ({
				sends: [handshake({ Upgrade: each })],
				...upgraded,
			})),
		},
		{
			section: '4.2.1',
			thrown: 'handshakes without Connection, or with one that is empty, close, keep-alive, upgraded or websocket',
			promised: 'Refused with 400, and a line that names the field.',
			cases: [undefined, '', 'close', 'keep-alive', 'upgraded', 'websocket'].map((each) =>
				with400('Connection', { Connection: each }),
			),
			through: {
				nginx: {
					answer: () => upgraded,
					says: 'answered with 101, as the sample file of nginx sets the field itself for each request with Upgrade.',
				},
			},
		},
		{
			section: '4.2.1',
			thrown: 'handshakes whose Connection is in other letters, or a list',
			promised: 'Answered with 101.',
			cases: ['upgrade', 'UPGRADE', 'keep-alive, Upgrade', 'Upgrade, keep-alive', 'a,,upgrade'].map((each) => ({
				sends: [handshake({ Connection: each })],
				...upgraded,
			})),
		},
		{
			section: '4.1',
			thrown: 'handshakes by POST, PUT, HEAD, OPTIONS, DELETE and PATCH',
			promised: 'Refused with 400.',
			cases: ['POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH'].map((method) => ({
				sends: [handshake({}, method)],
				status: 400,
			})),
		},
		{
			section: '4.2.1',
			thrown: 'a handshake with a body',
			promised: 'Refused with 400.',
			cases: [{ sends: [handshake({ 'Content-Length': '5' }, 'GET', 'hello')], status: 400 }],
		},
		{
			section: '4.2.1',
			thrown: 'handshakes with names of fields in other letters, no blank or several around values, and fields in another order',
			promised: 'Answered with 101.',
			cases: [
				complete.replace(/^[A-Za-z-]+(?=: )/gm, (name) => name.toLowerCase()),
				complete.replace(/^[A-Za-z-]+(?=: )/gm, (name) => name.toUpperCase()),
				complete.replaceAll(': ', ':'),
				complete.replaceAll(': ', ':   ').replaceAll(/(?<!1\.1|^)\r\n(?=.)/gm, '  \r\n'),
				request(Object.fromEntries(Object.entries(handshakeHeaders).reverse())),
			].map((each) => ({ sends: [each], ...upgraded })),
		},
		{
			section: '4.2.1',
			thrown: 'a handshake with tabs before the values of its fields',
			promised: 'Answered with 101.',
			cases: [{ sends: [complete.replaceAll(': ', ':\t')], ...upgraded }],
			through: { nginx: { answer: () => ({ status: 400 }), says: 'refused by nginx itself with 400.' } },
		},
		{
			section: '4.2.1',
			thrown: 'a handshake with fields that mean nothing here: cookies, Sec-WebSocket-Anything, If-Match',
			promised: 'Answered with 101.',
			cases: [
				{
					sends: [handshake({ Cookie: 'a=b', 'Sec-WebSocket-Anything': 'x', 'If-Match': '*', 'X-Other': '\u00ff' })],
					...upgraded,
				},
			],
		},
	];
}
