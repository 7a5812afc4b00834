// Changes to a valid conversation, of its bytes, its frames or its requests. Each changes what it is given, in place.
import type { Random } from '../../../support/random.js';
import { chance, pick, randomBytes, times, upTo } from './choices.js';
import type { Conversation, Maker } from './conversation.js';
import { type Frame, frameOf, isRequest, opcodes, type Part, type Request } from './wire.js';

/** `records` are changed on their way: see tampered.ts. */
export type Level = 'records' | 'bytes' | 'frames' | 'requests' | 'chunks' | 'texts';

const tokens = [
	...[
		'\r\n',
		'\r\n\r\n',
		'\n',
		'\r',
		'\0',
		' ',
		'\t',
		':',
		',',
		';',
		'"',
		'=',
		'%',
		'%00',
		'%ff',
		'?',
		'#',
		'/',
		'..',
		'//',
		'*',
	],
	...['0', '-1', '1', '+', 'ffffffffffffffff', '18446744073709551616', 'HTTP/1.1', 'Host: x\r\n', 'GET / HTTP/1.1\r\n\r\n'],
	...[
		'\xff',
		'\xfe',
		'\xc3',
		'\xc0\xaf',
		'\xed\xa0\x80',
		'\xf4\x90\x80\x80',
		'\xef\xbf\xbd',
		'\xef\xbb\xbf',
		'\x7f',
		'\x80',
		'\x81',
		'\x88',
		'\x89',
	],
];

/** Changes some bytes. */
export function mutateBytes(random: Random, bytes: Buffer): Buffer {
	const at = random.below(bytes.length + 1);
	const end = Math.min(bytes.length, at + upTo(random, pick(random, [1, 4, 64])));
	const [before, some, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
	switch (random.below(8)) {
		case 0:
			return Buffer.concat([before, some.map((byte) => byte ^ (1 << random.below(8))), after]);
		case 1:
			return Buffer.concat([before, Buffer.from(pick(random, tokens), 'latin1'), some, after]);
		case 2:
			return Buffer.concat([before, Buffer.from(pick(random, tokens), 'latin1'), after]);
		case 3:
			return Buffer.concat([before, after]);
		case 4:
			return Buffer.concat([before, ...times(upTo(random, 40), () => some), after]);
		case 5:
			return before;
		case 6:
			return Buffer.concat([after, some, before]);
		default:
			return Buffer.concat([before, randomBytes(random, upTo(random, 16)), after]);
	}
}

const methods = [
	'GET',
	'POST',
	'PUT',
	'HEAD',
	'OPTIONS',
	'DELETE',
	'PATCH',
	'TRACE',
	'CONNECT',
	'PRI',
	'get',
	'P',
	'',
	'POST\0',
	'\xff',
	'M'.repeat(5_000),
];
const versions = ['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.1 ', 'http/1.1', 'HTTP/11', '', 'ICY'];
const targets = [
	'*',
	'',
	'/',
	'//',
	'/..',
	'/%',
	'/%0',
	'/%zz',
	'/%00',
	'/%ff',
	'/%C0%AF',
	'/%ED%A0%80',
	'/\xff',
	'/\xef\xbf\xbd',
	'/a b',
	'/#x',
	'?',
	'http://x/fuzz/0',
	'x',
	`/${'x'.repeat(255)}`,
	`/${'x'.repeat(256)}`,
	`/${'%F0%9F%98%80'.repeat(255)}`,
	`/${'y'.repeat(60_000)}`,
	`/fuzz/0?${'z'.repeat(4_000)}`,
];
const names = [
	'Content-Length',
	'Transfer-Encoding',
	'Host',
	'Connection',
	'Upgrade',
	'Expect',
	'Content-Encoding',
	'Sec-WebSocket-Key',
	'Sec-WebSocket-Version',
	'Sec-WebSocket-Protocol',
	'Sec-WebSocket-Extensions',
	'Accept',
	'Accept-Encoding',
	'If-Match',
	'If-None-Match',
	'Origin',
	'Trailer',
	'TE',
	'X-Session',
	'X-Channel',
	'Authorization',
	'Content-Type',
	'',
	' ',
	'X ',
	'X\0',
	'\xff',
	'X'.repeat(1_000),
];
const values = [
	'',
	' ',
	'0',
	'1',
	'-1',
	'+3',
	'0x3',
	'3, 3',
	'99999999999',
	'18446744073709551617',
	'chunked',
	'gzip, chunked',
	'identity',
	'close',
	'keep-alive, close',
	'upgrade',
	'websocket',
	'h2c',
	'100-continue',
	'*',
	'"',
	'W/"',
	'a,'.repeat(1_000),
	';q=',
	'text/event-stream;q=x',
	'br;q=0, *;q=0',
	'null',
	'file://',
	'http://',
	'http://[::1',
	'12',
	'13',
	'dGhlIHNhbXBsZSBub25jZQ==',
	'permessage-deflate',
	'pathcast.groups.v1',
	'bearer',
	'bearer, \xff',
	'a\0b',
	'a\nb',
	'a\rb',
	'\xff\xfe',
	'v'.repeat(5_000),
];
const sizes = [
	'',
	' ',
	'0',
	'00000000000',
	'-1',
	'+1',
	'0x1',
	'g',
	'ffffffff',
	'ffffffffffffffff',
	'10000000000000000',
	'1;a=b',
	'1;',
	';',
	'1 ',
	' 1',
	'1\n',
	'7fffffff',
	'0\r\nX: y',
];

function mutateRequest(random: Random, request: Request): void {
	const { fields } = request;
	const at = random.below(fields.length);
	const field = fields[at] ?? ['X', 'y'];
	switch (random.below(12)) {
		case 0:
			fields.splice(at, 1);
			break;
		case 1:
			fields.splice(random.below(fields.length + 1), 0, [...field]);
			break;
		case 2:
			field[0] = pick(random, names);
			break;
		case 3:
			field[1] = pick(random, values);
			break;
		case 4:
			fields.splice(at, 0, [pick(random, names), pick(random, values)]);
			break;
		case 5:
			fields.push(...times(upTo(random, 150), (i): [string, string] => [`X-${i}`, 'y']));
			break;
		case 6:
			lieAboutLength(random, request);
			break;
		case 7:
			request.method = pick(random, methods);
			break;
		case 8:
			request.target = pick(random, targets);
			break;
		case 9:
			request.version = pick(random, versions);
			break;
		case 10:
			request.lineEnd = pick(random, ['\n', '\r', '\r\r\n', '\r\n ']);
			break;
		default:
			field[1] = mutateBytes(random, Buffer.from(field[1], 'latin1')).toString('latin1');
	}
}

function lieAboutLength(random: Random, request: Request): void {
	const { length } = request.body;
	const lie = pick(random, [length + 1, length - 1, 0, length * 2, length + 100, 65_536, 65_537, 2 ** 31, 2 ** 32, 2 ** 53]);
	const field = request.fields.find(([name]) => name === 'Content-Length');
	if (field === undefined) request.fields.push(['Content-Length', String(lie)]);
	else field[1] = String(lie);
}

function mutateChunks(random: Random, request: Request): void {
	request.chunks ??= [{ size: '0', bytes: Buffer.alloc(0) }];
	const { chunks } = request;
	const at = random.below(chunks.length);
	const chunk = chunks[at];
	if (chunk === undefined) return;
	const { length } = chunk.bytes;
	switch (random.below(6)) {
		case 0:
			chunk.size = pick(random, sizes);
			break;
		case 1:
			chunk.size = Math.max(0, length + pick(random, [-2, -1, 1, 2, 100, 65_536])).toString(16);
			break;
		case 2:
			chunks.splice(at, 1);
			break;
		case 3:
			chunks.splice(at, 0, ...times(upTo(random, 3), () => ({ ...chunk })));
			break;
		case 4:
			chunks.reverse();
			break;
		default:
			chunk.bytes = mutateBytes(random, chunk.bytes);
	}
}

function mutateFrame(random: Random, frame: Frame, parts: Part[], at: number): void {
	const mask = () => randomBytes(random, 4);
	switch (random.below(11)) {
		case 0:
			frame.first ^= 0x80 >> random.below(4);
			break;
		case 1:
			frame.first = (frame.first & 0xf0) | random.below(16);
			break;
		case 2:
			frame.lengthBits = pick(random, [7, 16, 64]);
			break;
		case 3:
			frame.length = pick(random, [
				0,
				1,
				125,
				126,
				127,
				65_535,
				65_536,
				131_072,
				131_073,
				2 ** 31,
				2 ** 32 + 1,
				2 ** 53,
				frame.length + 1,
				Math.max(0, frame.length - 1),
			]);
			if (chance(random, 70)) frame.lengthBits = frame.length < 126 ? 7 : frame.length < 65_536 ? 16 : 64;
			break;
		case 4:
			frame.isMasked = false;
			if (chance(random, 50)) frame.mask = Buffer.alloc(0);
			break;
		case 5:
			frame.mask = randomBytes(random, pick(random, [0, 4, 4]));
			break;
		case 6:
			frame.payload = Buffer.concat([
				frame.payload,
				Buffer.from(pick(random, ['\xff', '\xc3', '\xed\xa0\x80', '\xf4\x90\x80\x80']), 'latin1'),
			]);
			frame.length = frame.payload.length;
			break;
		case 7:
			parts.splice(random.below(parts.length + 1), 0, ...parts.splice(at, 1));
			break;
		case 8:
			parts.splice(
				at,
				0,
				frameOf(pick(random, [opcodes.ping, opcodes.pong]), randomBytes(random, random.below(140)), mask(), chance(random, 80)),
			);
			break;
		case 9:
			parts.splice(at, 0, frameOf(opcodes.close, closePayload(random), mask()));
			break;
		default:
			parts.splice(at, 0, ...times(upTo(random, 20), () => ({ ...frame })));
	}
}

function closePayload(random: Random): Buffer {
	const code = Buffer.alloc(2);
	code.writeUInt16BE(pick(random, [0, 999, 1000, 1001, 1004, 1005, 1006, 1012, 1015, 2999, 3000, 4999, 5000, 65_535]));
	return pick(random, [Buffer.alloc(0), Buffer.from([3]), code, Buffer.concat([code, randomBytes(random, random.below(130))])]);
}

/** Changes the text of a frame, and leaves the frame whole. */
function mutateText(random: Random, frame: Frame): void {
	const hostile = [
		...targets,
		'subscribe',
		'subscribe:',
		'add: /fuzz/0 /fuzz/1',
		'publish: /fuzz/0',
		'remove:',
		'\n',
		'\n\n',
		'channel: /fuzz/0\nfrom: server\n\n',
	];
	const added = Buffer.from(pick(random, hostile).slice(0, 4_000), 'latin1');
	const at = random.below(frame.payload.length + 1);
	frame.payload = chance(random, 50)
		? mutateBytes(random, frame.payload)
		: Buffer.concat([frame.payload.subarray(0, at), added, frame.payload.subarray(at)]);
	// Mutated so, most texts would be no UTF-8, at which the engine closes the connection.
	if (chance(random, 90)) frame.payload = Buffer.from(frame.payload.toString());
	frame.length = frame.payload.length;
	frame.lengthBits = frame.length < 126 ? 7 : frame.length < 65_536 ? 16 : 64;
}

/** Changes a request or a frame, or the order of all. */
export function mutateParts(
	random: Random,
	conversation: Conversation,
	level: Exclude<Level, 'bytes' | 'records'>,
	maker: Maker,
	n: number,
): void {
	const stages = conversation.stages.filter((parts) =>
		parts.some((part) => isRequest(part) === (level === 'requests' || level === 'chunks')),
	);
	const parts = stages.length === 0 ? undefined : pick(random, stages);
	if (parts === undefined) return;
	if (chance(random, 8)) splice(random, parts, maker(random, n));
	const at = random.below(parts.length);
	const part = parts[at];
	if (part === undefined) return;
	if (!isRequest(part)) {
		if (level === 'texts') mutateText(random, part);
		else mutateFrame(random, part, parts, at);
	} else if (level === 'chunks') mutateChunks(random, part);
	else mutateRequest(random, part);
}

/** Puts parts of another conversation between these, or changes their order. */
function splice(random: Random, parts: Part[], other: Conversation): void {
	if (chance(random, 30)) parts.reverse();
	else parts.splice(random.below(parts.length + 1), 0, ...other.stages.flat().slice(0, upTo(random, 4)));
}
