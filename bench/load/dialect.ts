// How to speak with each kind of server: what to send to subscribe and to publish, and how a delivery looks.
import { handshake } from './connection.js';
import { eventStream } from './event-stream.js';
import type { DialectName, Target } from './job.js';

/** The bytes around a payload. */
export type Envelope = { readonly before: Buffer; readonly after: Buffer };

/** Frames or chunks may hold several deliveries each, or parts of them, so they are taken off first. */
export type Wrapping = 'none' | 'frames' | 'chunks';

export type Dialect = {
	/** The request that opens a connection. */
	request(target: Target, path: string): string;
	/** What the server's bytes are wrapped in after the head of its answer; undefined if the answer is a refusal. */
	wrapping(answerHead: string): Wrapping | undefined;
	/** Whether a connection subscribes to more paths than that of its URL. */
	readonly takesManyPaths?: boolean;
	/** What to send after the handshake; undefined if the path alone subscribes. */
	subscribe(...paths: readonly string[]): Buffer | undefined;
	/** How many bytes of what has come since then complete the server's consent; undefined if it is not complete. */
	consentBytes(received: Buffer): number | undefined;
	/** Around a payload that is published, the websocket frame included. */
	publishEnvelope(path: string, payloadBytes: number): Envelope;
	/** Around a payload that is delivered. The same for all subscribers of a channel. */
	deliveryEnvelope(path: string, payloadBytes: number): Envelope;
	/** How long a message is that carries no delivery, such as a ping, if one stands here; 0 if not, undefined if more must come. */
	controlBytes(bytes: Buffer): number | undefined;
	/** What such a message is to be answered with, if with anything: servers drop whom they take for dead. */
	answer(control: Buffer): Buffer | undefined;
	/** Why the server closes, if it says so here. */
	closing(bytes: Buffer): string | undefined;
};

const nothing = Buffer.alloc(0);
const text = 0x81;
const binary = 0x82;
const ping = 0x89;
const pong = 0x8a;

/** The header of a client's frame (RFC 6455, section 5.2). The masking key is 0: legal, and no work for us. */
export function clientHeader(firstByte: number, payloadBytes: number): Buffer {
	const header = frameHeader(firstByte, payloadBytes);
	header[1] = (header[1] as number) | 0x80;
	return Buffer.concat([header, Buffer.alloc(4)]);
}

/** The header of a server's frame: no mask. */
export function frameHeader(firstByte: number, payloadBytes: number): Buffer {
	if (payloadBytes < 126) return Buffer.from([firstByte, payloadBytes]);
	const header = Buffer.alloc(payloadBytes < 65_536 ? 4 : 10);
	header[0] = firstByte;
	if (payloadBytes < 65_536) {
		header[1] = 126;
		header.writeUInt16BE(payloadBytes, 2);
	} else {
		header[1] = 127;
		header.writeBigUInt64BE(BigInt(payloadBytes), 2);
	}
	return header;
}

const hasUpgraded = (answerHead: string) => answerHead.startsWith('HTTP/1.1 101 ');

const websocket: Dialect = {
	request: (target, path) => handshake(target, path),
	// Each delivery is one frame.
	wrapping: (answerHead) => (hasUpgraded(answerHead) ? 'none' : undefined),
	subscribe: () => undefined,
	consentBytes: () => 0,
	publishEnvelope: (_path, payloadBytes) => ({ before: clientHeader(text, payloadBytes), after: nothing }),
	deliveryEnvelope: (_path, payloadBytes) => ({ before: frameHeader(text, payloadBytes), after: nothing }),
	controlBytes(bytes) {
		// A ping or a pong; at most 125 bytes (RFC 6455, section 5.5).
		if (bytes[0] !== ping && bytes[0] !== pong) return 0;
		const length = bytes[1];
		return length === undefined || bytes.length < 2 + length ? undefined : 2 + length;
	},
	answer: (control) => (control[0] === ping ? inFrame(pong, control.subarray(2)) : undefined),
	closing(bytes) {
		if (bytes[0] !== 0x88) return undefined;
		return bytes.length < 4
			? 'closed'
			: `closed with ${bytes.readUInt16BE(2)} ${bytes.toString('utf8', 4, 2 + (bytes[1] as number))}`;
	},
};

/** MQTT 3.1.1 at QoS 0 in binary frames. */
const mqtt: Dialect = {
	request: (target, path) => handshake(target, path, 'mqtt'),
	wrapping: (answerHead) => (hasUpgraded(answerHead) ? 'frames' : undefined),
	subscribe(path) {
		// Clean session, no keep-alive, a client identifier of the server's choice (section 3.1); the answer need not be awaited.
		const connect = Buffer.from([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 0]);
		const subscribe = mqttPacket(0x82, Buffer.concat([Buffer.from([0, 1]), mqttString(path), Buffer.from([0])]));
		return inFrame(binary, Buffer.concat([connect, subscribe]));
	},
	// CONNACK and SUBACK: 4 and 5 bytes.
	consentBytes: (received) => (received.length < 9 ? undefined : 9),
	publishEnvelope(path, payloadBytes) {
		const head = mqttPublishHead(path, payloadBytes);
		return { before: Buffer.concat([clientHeader(binary, head.length + payloadBytes), head]), after: nothing };
	},
	deliveryEnvelope: (path, payloadBytes) => ({ before: mqttPublishHead(path, payloadBytes), after: nothing }),
	controlBytes: () => 0,
	answer: () => undefined,
	// MQTT 3.1.1 servers just close.
	closing: () => undefined,
};

function mqttPublishHead(path: string, payloadBytes: number): Buffer {
	const topic = mqttString(path);
	return Buffer.concat([Buffer.from([0x30]), mqttLength(topic.length + payloadBytes), topic]);
}

function mqttPacket(firstByte: number, rest: Buffer): Buffer {
	return Buffer.concat([Buffer.from([firstByte]), mqttLength(rest.length), rest]);
}

function mqttString(value: string): Buffer {
	const bytes = Buffer.from(value);
	return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

/** Seven bits a byte, the lowest first (section 2.2.3). */
function mqttLength(length: number): Buffer {
	const bytes: number[] = [];
	let rest = length;
	do {
		const more = rest > 127 ? 0x80 : 0;
		bytes.push((rest & 0x7f) | more);
		rest >>= 7;
	} while (rest > 0);
	return Buffer.from(bytes);
}

/** The NATS client protocol in binary frames. A subject has dots where a path has slashes. */
const nats: Dialect = {
	request: (target, path) => handshake(target, path),
	wrapping: (answerHead) => (hasUpgraded(answerHead) ? 'frames' : undefined),
	subscribe: (path) =>
		inFrame(binary, Buffer.from(`CONNECT {"verbose":false,"pedantic":false}\r\nSUB ${subject(path)} 1\r\nPING\r\n`)),
	consentBytes(received) {
		const pong = received.indexOf('PONG\r\n');
		return pong < 0 ? undefined : pong + 6;
	},
	publishEnvelope(path, payloadBytes) {
		const head = Buffer.from(`PUB ${subject(path)} ${payloadBytes}\r\n`);
		return {
			before: Buffer.concat([clientHeader(binary, head.length + payloadBytes + 2), head]),
			after: Buffer.from('\r\n'),
		};
	},
	deliveryEnvelope: (path, payloadBytes) => ({
		before: Buffer.from(`MSG ${subject(path)} 1 ${payloadBytes}\r\n`),
		after: Buffer.from('\r\n'),
	}),
	controlBytes(bytes) {
		if (bytes[0] === 0x4d) return 0;
		const end = bytes.indexOf('\r\n');
		return end < 0 ? undefined : end + 2;
	},
	answer: (control) => (control.toString('latin1') === 'PING\r\n' ? inFrame(binary, Buffer.from('PONG\r\n')) : undefined),
	closing: (bytes) => (bytes.subarray(0, 4).toString('latin1') === '-ERR' ? bytes.toString('latin1', 0, 80) : undefined),
};

function subject(path: string): string {
	return path.slice(1).replaceAll('/', '.');
}

const groupsProtocol = 'pathcast.groups.v1';

/** Many channels over one websocket. The messages come by POST, as the number of a connection that publishes is not known beforehand. */
const groups: Dialect = {
	...websocket,
	request: (target, path) => handshake(target, path, groupsProtocol),
	wrapping: (answerHead) => (hasUpgraded(answerHead) && answerHead.includes(groupsProtocol) ? 'none' : undefined),
	takesManyPaths: true,
	subscribe: (...paths) => inFrame(text, Buffer.from(`subscribe: ${paths.join(' ')}`)),
	consentBytes(received) {
		const lastLine = received.indexOf('\nleft: \n\n');
		return lastLine < 0 ? undefined : lastLine + 9;
	},
	publishEnvelope() {
		throw new Error('groups are measured by POST');
	},
	deliveryEnvelope(path, payloadBytes) {
		const head = Buffer.from(`channel: ${path}\nfrom: post\n\n`);
		return { before: Buffer.concat([frameHeader(text, head.length + payloadBytes), head]), after: nothing };
	},
};

/** Socket.IO 4 over websockets: version 4 of the Engine.IO protocol, version 5 of the Socket.IO protocol. A room stands for a path. */
const socketIo: Dialect = {
	...websocket,
	request: (target, path) => handshake(target, `/socket.io/?EIO=4&transport=websocket&room=${encodeURIComponent(path)}`),
	subscribe: () => inFrame(text, Buffer.from('40')),
	// The answer to that is 40{"sid":"…"}. An open packet comes before it, whose text has only the one brace at its start.
	consentBytes(received) {
		const end = received.indexOf('}', received.indexOf('40{') + 1);
		return !received.includes('40{') || end < 0 ? undefined : end + 1;
	},
	publishEnvelope(_path, payloadBytes) {
		const length = socketIoBefore.length + payloadBytes + socketIoAfter.length;
		return { before: Buffer.concat([clientHeader(text, length), socketIoBefore]), after: socketIoAfter };
	},
	deliveryEnvelope(_path, payloadBytes) {
		const length = socketIoBefore.length + payloadBytes + socketIoAfter.length;
		return { before: Buffer.concat([frameHeader(text, length), socketIoBefore]), after: socketIoAfter };
	},
	// A ping is a text message of one character.
	controlBytes: (bytes) => (bytes[0] !== text || bytes[1] !== 1 ? 0 : bytes.length < 3 ? undefined : 3),
	answer: () => inFrame(text, Buffer.from('3')),
};

const socketIoBefore = Buffer.from('42["m","');
const socketIoAfter = Buffer.from('"]');

function inFrame(firstByte: number, payload: Buffer): Buffer {
	return Buffer.concat([clientHeader(firstByte, payload.length), payload]);
}

export const dialects: Readonly<Record<DialectName, Dialect>> = {
	websocket,
	mqtt,
	nats,
	groups,
	'event-stream': eventStream,
	'socket.io': socketIo,
};
