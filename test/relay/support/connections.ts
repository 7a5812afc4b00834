// The ways to subscribe, for clients that count what they get. The messages begin with their numbers.
import { get, type IncomingMessage } from 'node:http';
import { Redis } from 'ioredis';
import WebSocket from 'ws';
import { acceptsStream, EventParser } from '../../support/event-stream.js';

export type Handlers = {
	/** Hears that the connection is subscribed, before any message. */
	readonly onOpen: () => void;
	readonly onMessage: (message: number) => void;
	/** Hears once how the connection has ended, also if it was never open. */
	readonly onClosed: (how: string) => void;
};

export type Connection = {
	/** Undefined if this one cannot publish. */
	readonly send: ((text: string) => void) | undefined;
	/** What it has sent is published all the same. */
	readonly end: () => void;
};

/** How to connect to a port, and subscribe there to a channel. */
export type Connect = (port: number, channel: string, handlers: Handlers) => Connection;

export const viaWebSocket: Connect = (port, channel, { onOpen, onMessage, onClosed }) => {
	const ws = new WebSocket(`ws://127.0.0.1:${port}${channel}`, { perMessageDeflate: false });
	let refusal: string | undefined;
	ws.on('open', onOpen);
	ws.on('message', (data: Buffer) => onMessage(Number.parseInt(data.toString('latin1', 0, 16), 10)));
	ws.on('error', ({ message }) => {
		refusal = message;
	});
	ws.on('close', (code, reason) => onClosed(code === 1006 ? (refusal ?? '1006') : `${code} ${reason}`));
	return { send: (text) => ws.send(text), end: () => ws.close() };
};

export const viaEventStream: Connect = (port, channel, { onOpen, onMessage, onClosed }) => {
	const request = get({ host: '127.0.0.1', port, path: channel, agent: false, headers: acceptsStream });
	let isOpen = false;
	let how = 'ended';
	const parser = new EventParser(({ data }) => onMessage(Number.parseInt(data, 10)));
	let answer: IncomingMessage | undefined;
	request.on('response', (response) => {
		answer = response;
		if (response.statusCode !== 200) how = `Unexpected server response: ${response.statusCode}`;
		response.on('data', (bytes) => {
			if (response.statusCode !== 200) return;
			// The first bytes are a comment, which says that the stream is subscribed.
			if (!isOpen) onOpen();
			isOpen = true;
			parser.feed(bytes);
		});
		response.on('error', () => {});
	});
	request.on('error', ({ message }) => {
		how = message;
	});
	request.on('close', () => onClosed(answer?.complete === false ? 'cut' : how));
	return { send: undefined, end: () => request.destroy() };
};

/** Past the nodes. */
export const viaRedis: Connect = (port, channel, { onOpen, onMessage, onClosed }) => {
	const redis = new Redis({ host: '127.0.0.1', port, retryStrategy: () => null, autoResubscribe: false, lazyConnect: true });
	redis.on('smessage', (_channel: string, text: string) => onMessage(Number.parseInt(text, 10)));
	redis.on('error', () => {});
	redis.on('end', () => onClosed('ended'));
	const ignore = () => {};
	redis
		.connect()
		.then(() => redis.ssubscribe(`pathcast:${decodeURI(channel)}`))
		.then(onOpen)
		.catch(ignore);
	return { send: undefined, end: () => redis.disconnect() };
};
