// A websocket: upgrade -> subscribe -> publish -> close.
import type { Socket, SocketBehavior, UpgradeContext } from '../engine.js';
import type { Log } from '../operations/log.js';
import type { Metrics } from '../operations/metrics.js';
import { type ChannelName, parseChannelName } from '../pubsub/channel-name.js';
import type { Channel, Hub } from '../pubsub/hub.js';
import { trustedMessage } from '../pubsub/message.js';
import { type Door, openDoor } from './door.js';
import { firstProtocol, handshakeRefusal } from './handshake.js';
import { type OriginPolicy, originRefusal } from './origin.js';
import { type Refused, refuse } from './reply.js';

/** What hangs on each websocket. The engine copies it onto the socket, so its fields are plain. */
export type Subscriber = { readonly name: ChannelName; channel: Channel | undefined };

export type WebSocketParts = {
	readonly hub: Hub;
	readonly checkOrigin: OriginPolicy;
	/** Every open websocket, so that stopping can close it. */
	readonly sockets: Set<Socket<Subscriber>>;
	readonly isStopping: () => boolean;
	readonly allowsBinary: boolean;
	readonly allowsPublish: boolean;
	readonly echoesKeepalive: boolean;
	readonly messageBytesMax: number;
	readonly pathCodePointsMax: number;
	/** Of user-space backlog; a subscriber beyond it is disconnected. */
	readonly backlogBytesMax: number;
	/** 0 for never. */
	readonly pingTimeoutSeconds: number;
	readonly metrics: Metrics;
	readonly log: Log;
};

export function webSocketDoor(parts: WebSocketParts): SocketBehavior<Subscriber> {
	const { hub, sockets, allowsBinary, allowsPublish, echoesKeepalive, messageBytesMax, metrics, log } = parts;
	const isDebug = log.isLevelEnabled('debug');

	/** Why a message may not be published, with the code to close with (RFC 6455, section 7.4.1); undefined if it may. */
	function messageRefusal(bytes: number, isBinary: boolean): CloseFrame | undefined {
		if (!allowsPublish) return receiveOnly;
		if (isBinary && !allowsBinary) return textOnly;
		return bytes > messageBytesMax ? tooLong : undefined;
	}
	const tooLong: CloseFrame = [1009, `a message may take ${messageBytesMax} bytes at most (--max-message)`];

	function close(ws: Socket<Subscriber>, channel: Channel, [code, reason]: CloseFrame): void {
		// What was published before this is sent before the close frame.
		hub.flushChannel(channel);
		ws.end(code, reason);
	}

	return {
		compression: 0,
		sendPingsAutomatically: true,
		idleTimeout: parts.pingTimeoutSeconds,
		maxBackpressure: parts.backlogBytesMax,
		closeOnBackpressureLimit: true,
		// Beyond this the engine drops the connection without a close frame; up to it, we close with 1009.
		maxPayloadLength: 2 * messageBytesMax,

		upgrade: openDoor(upgradeDoor(parts), log),

		open: (ws) => {
			try {
				const subscriber = ws.getUserData();
				const channel = hub.join(subscriber.name);
				subscriber.channel = channel;
				sockets.add(ws);
				ws.subscribe(channel.name);
				metrics.connectionOpened();
				if (isDebug) log.debug({ event: 'open', path: channel.name, subscribers: channel.subscribers }, 'subscribed');
			} catch (error) {
				closeFaulty(ws, error, log);
			}
		},

		message: (ws, bytes, isBinary) => {
			try {
				const { channel } = ws.getUserData();
				if (channel === undefined) return;
				if (bytes.byteLength === 0) {
					metrics.keepalive();
					if (echoesKeepalive) ws.send('', isBinary);
					return;
				}
				const refusal = messageRefusal(bytes.byteLength, isBinary);
				if (refusal !== undefined) return close(ws, channel, refusal);
				metrics.messageReceived('websocket');
				if (isDebug) {
					const { name: path, subscribers } = channel;
					log.debug({ event: 'publish', path, bytes: bytes.byteLength, subscribers }, 'published by websocket');
				}
				hub.publish(channel, trustedMessage(bytes, isBinary));
			} catch (error) {
				closeFaulty(ws, error, log);
			}
		},

		close: (ws, code, reason) => {
			try {
				sockets.delete(ws);
				const { channel } = ws.getUserData();
				if (channel === undefined) return;
				hub.leave(channel);
				if (isDebug) {
					const { name: path, subscribers } = channel;
					log.debug({ event: 'close', path, code, reason: Buffer.from(reason).toString(), subscribers }, 'unsubscribed');
				}
			} catch (error) {
				closeFaulty(ws, error, log);
			}
		},
	};
}

function upgradeDoor({ checkOrigin, isStopping, pathCodePointsMax }: WebSocketParts): Door<[UpgradeContext]> {
	return (res, req, headers, context) => {
		const path = req.getUrl();
		const handshake = handshakeRefusal(headers);
		if (handshake !== undefined) return refuse(res, handshake);
		const name = parseChannelName(path, pathCodePointsMax);
		if (typeof name === 'object') return refuse(res, name);
		if (!checkOrigin(headers.origin, headers.host, path).isAllowed) return refuse(res, originRefusal);
		if (isStopping()) return refuse(res, stopping);
		// No extensions: compression stays off.
		res.upgrade<Subscriber>({ name, channel: undefined }, headers.webSocketKey ?? '', firstProtocol(headers) ?? '', '', context);
	};
}

const stopping: Refused = {
	status: 503,
	reason: 'The server is stopping: connect again in a moment.',
	headers: [['Retry-After', '1']],
};

/** A close code and a reason of at most 123 bytes (RFC 6455, section 5.5). */
type CloseFrame = readonly [code: number, reason: string];
const receiveOnly: CloseFrame = [1008, 'websockets only receive here; publish by POST (--client-publish none)'];
const textOnly: CloseFrame = [1003, 'only text messages are accepted here (--binary is off)'];

function closeFaulty(ws: Socket<Subscriber>, error: unknown, log: Log): void {
	log.error({ event: 'fault', err: error }, 'A handler threw; this websocket is closed with 1011, and the server goes on.');
	try {
		ws.end(1011, 'the server failed to handle this connection; its log says why');
	} catch {
		// The engine throws if the websocket is closed already.
	}
}
