// Valid conversations of clients with the server, made from random choices.

import { groupsProtocol } from '../../../support/groups.js';
import { handshakeHeaders } from '../../../support/http.js';
import { opcodes } from '../../../support/opcodes.js';
import type { Random } from '../../../support/random.js';
import { chance, pick, randomBytes, times, upTo } from './choices.js';
import { type Chunk, type Field, type Frame, frameOf, type Part, type Request, type Stage } from './wire.js';

/** A message that the server promises to publish, if the conversation comes whole. */
export type Promised = { readonly channel: string; readonly text: string };

export type Conversation = {
	readonly stages: Stage[];
	readonly promised: Promised[];
	/** The text in the answer that the client waits for before it leaves; undefined for the end of the connection. */
	readonly lastAnswer: string | undefined;
};

/** Makes a conversation of the input number `n`: its messages begin with that number, and no two are alike. */
export type Maker = (random: Random, n: number) => Conversation;

/** The channels that every input may publish on. */
export const channels = ['/fuzz/0', '/fuzz/1', '/fuzz/a/../b', '/fuzz/café'] as const;

/** How clients write these channels. One character for each byte. */
const spellings: Record<string, readonly string[]> = {
	'/fuzz/0': ['/fuzz/0', '/fuzz/%30', '/%66uzz/0'],
	'/fuzz/1': ['/fuzz/1', '/fuzz%2F1', '/fuzz%2f1'],
	'/fuzz/a/../b': ['/fuzz/a/../b', '/fuzz/a/%2E./b'],
	'/fuzz/café': ['/fuzz/caf%C3%A9', '/fuzz/caf%c3%a9', '/fuzz/caf\xc3\xa9'],
};
const queries = ['', '', '', '?', '?a=b&c', '?%zz', '?q=%F0%9F%98%80', `?${'x'.repeat(300)}`];

const letters = ['a', 'Z', '7', ' ', 'é', '漢', '😀', '\n', '\r\n', '\0', '"', '{"a":1}', 'data: ', ':', '\u2028', '\ufeff'];

type Place = { readonly channel: string; readonly target: string };

function placeOf(random: Random): Place {
	const channel = pick(random, channels);
	const query = chance(random, 20) ? `?user=${random.below(1_000)}` : pick(random, queries);
	return { channel, target: pick(random, spellings[channel] ?? []) + query };
}

/** A text of its own, mostly short. */
function textOf(random: Random, name: string): string {
	// Now and then the longest that the server takes, or one at which the length of a frame changes its form.
	if (chance(random, 3)) return `${name} `.padEnd(pick(random, [125, 126, 65_535, 65_536]), 'x');
	const length = pick(random, [1, 10, 30, 100, 1_000]);
	return `${name} ${times(upTo(random, length), () => pick(random, letters)).join('')}`;
}

function request(method: string, target: string, fields: Field[], body: Buffer = Buffer.alloc(0), chunks?: Chunk[]): Request {
	return { method, target, version: 'HTTP/1.1', fields: [['Host', 'x'], ...fields], chunks, body, lineEnd: '\r\n' };
}

/** A request whose body comes as one piece, or in chunks. */
function withBody(random: Random, method: string, target: string, fields: Field[], body: Buffer): Request {
	if (chance(random, 60)) return request(method, target, [...fields, ['Content-Length', String(body.length)]], body);
	return chunked(random, method, target, fields, body);
}

function chunked(random: Random, method: string, target: string, fields: Field[], body: Buffer): Request {
	const chunks: Chunk[] = [];
	for (let at = 0; at < body.length; ) {
		const bytes = body.subarray(at, at + upTo(random, body.length));
		const size = bytes.length.toString(16).padStart(upTo(random, 4), '0');
		chunks.push({ size: chance(random, 50) ? size : size.toUpperCase(), bytes });
		at += bytes.length;
	}
	chunks.push({ size: '0', bytes: Buffer.alloc(0) });
	return request(method, target, [...fields, ['Transfer-Encoding', 'chunked']], Buffer.alloc(0), chunks);
}

const ownFields: readonly Field[] = [
	['User-Agent', 'fuzz/1.0'],
	['Accept', '*/*'],
	['Accept', 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8'],
	['Accept-Encoding', 'gzip, deflate, br;q=0.5'],
	['Accept-Encoding', 'br'],
	['Origin', 'https://app.example'],
	['Cookie', 'a=b; c=d'],
	['X-Forwarded-For', '203.0.113.7, "[2001:db8::7]:80"'],
	['Content-Type', 'text/plain; charset=utf-8'],
	['If-None-Match', '"x", W/"y"'],
	['Range', 'bytes=0-1'],
	['X', 'y'.repeat(200)],
];

function someFields(random: Random): Field[] {
	return times(random.below(4), () => pick(random, ownFields).slice() as Field);
}

/** The last request of a connection asks for its end. */
function over(requests: Request[], promised: Promised[]): Conversation {
	requests.at(-1)?.fields.push(['Connection', 'close']);
	return { stages: [requests], promised, lastAnswer: undefined };
}

function postOf(random: Random, name: string, promised: Promised[], isChunked = false): Request {
	const { channel, target } = placeOf(random);
	const text = textOf(random, name);
	promised.push({ channel, text });
	const make = isChunked ? chunked : withBody;
	return make(random, pick(random, ['POST', 'PUT']), target, someFields(random), Buffer.from(text));
}

/** A few POSTs and PUTs. */
export const posts: Maker = (random, n) => {
	const promised: Promised[] = [];
	return over(
		times(upTo(random, 3), (i) => postOf(random, `${n}.${i}`, promised)),
		promised,
	);
};

export const chunkedPosts: Maker = (random, n) => {
	const promised: Promised[] = [];
	return over(
		times(upTo(random, 3), (i) => postOf(random, `${n}.${i}`, promised, true)),
		promised,
	);
};

function pageRequest(random: Random): Request {
	const fields = someFields(random);
	if (chance(random, 70)) fields.push(['Accept-Encoding', 'br']);
	return request(pick(random, ['GET', 'HEAD', 'OPTIONS', 'GET']), placeOf(random).target, fields);
}

/** The page, compressed or not, its headers, and what is allowed. */
export const pages: Maker = (random) =>
	over(
		times(upTo(random, 2), () => pageRequest(random)),
		[],
	);

/** Requests whose answers are short: the server closes connections when all together leave some MiB unread, which is no loss here. */
export const shortAnswers: Maker = (random, n) => {
	const promised: Promised[] = [];
	const bodiless = () => request(pick(random, ['HEAD', 'OPTIONS']), placeOf(random).target, someFields(random));
	const make = (i: number) => (chance(random, 70) ? postOf(random, `${n}.${i}`, promised) : bodiless());
	return over(times(upTo(random, 16), make), promised);
};

/** Up to 16 requests of all kinds, which are sent before the first answer. */
export const pipelines: Maker = (random, n) => {
	const promised: Promised[] = [];
	const make = (i: number) => (chance(random, 70) ? postOf(random, `${n}.${i}`, promised) : pageRequest(random));
	return over(times(4 + random.below(13), make), promised);
};

export const streams: Maker = (random) => {
	const fields: Field[] = [
		['Accept', pick(random, ['text/event-stream', 'text/event-stream, */*;q=0.1'])],
		...someFields(random),
	];
	const open = request('GET', placeOf(random).target, [...fields.filter(([name], i) => i === 0 || name !== 'Accept')]);
	return { stages: [[open]], promised: [], lastAnswer: 'retry: ' };
};

function handshake(random: Random, target: string, protocols: readonly string[]): Request {
	const key = randomBytes(random, 16).toString('base64');
	const fields = Object.entries({ ...handshakeHeaders, 'Sec-WebSocket-Key': key }) as Field[];
	const protocol: Field[] = protocols.length === 0 ? [] : [['Sec-WebSocket-Protocol', protocols.join(', ')]];
	return request('GET', target, [...fields, ...protocol, ...someFields(random).filter(([name]) => name !== 'Accept')]);
}

/** A message in one to four frames, with control frames between them. */
function messageFrames(random: Random, payload: Buffer): Frame[] {
	const cuts = times(chance(random, 30) ? upTo(random, 3) : 0, () => random.below(payload.length + 1));
	const ends = [...cuts.sort((one, other) => one - other), payload.length];
	return ends.flatMap((end, i) => {
		const opcode = i === 0 ? opcodes.text : opcodes.continuation;
		const part = frameOf(opcode, payload.subarray(ends[i - 1] ?? 0, end), maskOf(random), i === ends.length - 1);
		return chance(random, 20) ? [controlFrame(random), part] : [part];
	});
}

function controlFrame(random: Random): Frame {
	const payload = randomBytes(random, random.below(126));
	return frameOf(pick(random, [opcodes.ping, opcodes.pong]), payload, maskOf(random));
}

function maskOf(random: Random): Buffer {
	return chance(random, 20) ? Buffer.alloc(4) : randomBytes(random, 4);
}

function closeFrame(random: Random): Frame {
	const code = Buffer.from([0x03, 0xe8]);
	const payload = pick(random, [Buffer.alloc(0), code, Buffer.concat([code, Buffer.from('bye é')])]);
	return frameOf(opcodes.close, payload, maskOf(random));
}

/** A handshake, messages, keepalives, pings and pongs, and the close frame. */
export const websockets: Maker = (random, n) => {
	const { channel, target } = placeOf(random);
	const promised: Promised[] = [];
	const frames = times(upTo(random, 6), (i) => {
		if (chance(random, 15)) return [frameOf(opcodes.text, '', maskOf(random))];
		const text = textOf(random, `${n}.${i}`);
		promised.push({ channel, text });
		return messageFrames(random, Buffer.from(text));
	});
	const protocols = pick(random, [[], [], ['chat', 'superchat']]);
	const stages: Part[][] = [[handshake(random, target, protocols)], [...frames.flat(), closeFrame(random)]];
	return { stages, promised, lastAnswer: undefined };
};

/** A websocket with several channels: it changes them, and publishes to the one that it always has. */
export const groups: Maker = (random, n) => {
	const { channel, target } = placeOf(random);
	const promised: Promised[] = [];
	const own = encodeURI(channel);
	const others = () =>
		times(random.below(5), () => encodeURI(pick(random, [...channels, `/fuzz/own/${n}`]))).filter((path) => path !== own);
	const frames = times(upTo(random, 7), (i) => {
		const list = others().join(' ');
		const change = pick(random, [`add: ${list}`, `remove: ${list}\n\n`, `subscribe: ${own} ${list}\n`]);
		if (chance(random, 50)) return messageFrames(random, Buffer.from(change));
		const text = textOf(random, `${n}.${i}`);
		promised.push({ channel, text });
		return messageFrames(random, Buffer.from(`publish: ${own}\n\n${text}`));
	});
	const open = handshake(
		random,
		target,
		pick(random, [[groupsProtocol], ['chat', groupsProtocol], [groupsProtocol, 'bearer', 'token']]),
	);
	return { stages: [[open], [...frames.flat(), closeFrame(random)]], promised, lastAnswer: undefined };
};

/** A maker that picks one of these for each conversation. */
export function oneOf(...makers: readonly Maker[]): Maker {
	return (random, n) => pick(random, makers)(random, n);
}

/** Requests to the operator's listener. None stops the server, or closes a channel of the subscribers that look on. */
export const operatorRequests: Maker = (random, n) => {
	const promised: Promised[] = [];
	const names = times(1 + random.below(3), () => pick(random, ['alice', 'bob', `s${n}`])).join(', ');
	const make = (i: number): Request => {
		const { channel } = placeOf(random);
		const text = Buffer.from(textOf(random, `${n}.${i}`));
		switch (random.below(8)) {
			case 0:
				return request(
					pick(random, ['GET', 'HEAD']),
					pick(random, ['/', '/metrics', '/healthz', '/readyz', '/stats']),
					someFields(random).filter(isNotOfAPage),
				);
			case 1:
				return request(
					'GET',
					`/channels?prefix=${pick(random, ['/fuzz/', '/caf%C3%A9', '/+'])}&limit=${upTo(random, 1_000)}`,
					[],
				);
			case 2:
				return request('GET', `/channels${encodeURI(channel)}`, []);
			case 3:
				return withBody(random, 'DELETE', `/channels/closed/${n}`, [], text);
			case 4:
				return withBody(random, 'POST', '/send', [['X-Session', names]], text);
			case 5:
				return withBody(
					random,
					'POST',
					'/close',
					[
						['X-Session', names],
						['Prefer', 'handling=strict'],
					],
					text,
				);
			case 6:
				return request('GET', `/sessions/${pick(random, ['alice', '%61', ''])}`, []);
			default:
				promised.push({ channel, text: text.toString() });
				return withBody(random, pick(random, ['POST', 'PUT']), `/channels${encodeURI(channel)}`, [], text);
		}
	};
	return over(times(upTo(random, 4), make), promised);
};

function isNotOfAPage([name]: Field): boolean {
	return name !== 'Origin';
}
