// A websocket: open -> subscribe -> publish -> close.

import type { ClientAddress } from '../connections/client-address.js';
import { type DisconnectCause, dropLaggard, type Subscriber, seenBy } from '../connections/connection.js';
import type { Socket, SocketBehavior } from '../engine.js';
import type { FaultListener } from '../http/exchange.js';
import { MessageTurns } from '../http/turns.js';
import type { Log } from '../observe/log.js';
import type { Metrics } from '../observe/metrics.js';
import type { Channel } from '../pubsub/channel.js';
import type { Hub } from '../pubsub/hub.js';
import { trustedMessage } from '../pubsub/message.js';
import type { Places } from '../pubsub/places.js';
import type { Stragglers } from '../slow/catch-up.js';
import type { Lag, Laggards } from '../slow/watch.js';
import { type MessageRefusal, messageRules, tooFast, tooMuchAtOnce } from './rules.js';

export type WebSocketParts = {
	readonly hub: Hub;
	/** Every open websocket, so that stopping can close it. */
	readonly sockets: Places<Socket<Subscriber>>;
	/** Those of them that do not keep up. */
	readonly laggards: Laggards<Socket<Subscriber>>;
	readonly stragglers: Stragglers;
	/** Hears of each that was disconnected for that, for the log. */
	readonly onSlow: (channel: Channel, lag: Lag, cause: DisconnectCause) => void;
	/** Hears of each that is closed because it sent too much at once, for the log. */
	readonly onFlood: (path: string, ip: string) => void;
	readonly allowsBinary: boolean;
	readonly allowsPublish: boolean;
	readonly echoesKeepalive: boolean;
	readonly messageBytesMax: number;
	/** From one websocket; 0 for no limit. */
	readonly messagesPerSecondMax: number;
	/** Of user-space backlog; a subscriber beyond it is disconnected. */
	readonly backlogBytesMax: number;
	/** 0 for never. */
	readonly pingTimeoutSeconds: number;
	readonly clientAddress: ClientAddress;
	readonly metrics: Metrics;
	readonly onFault: FaultListener;
	readonly log: Log;
};

/** What the engine calls for its websockets, after `upgrade` has let them in. */
export function webSocketDoor(
	upgrade: NonNullable<SocketBehavior<Subscriber>['upgrade']>,
	parts: WebSocketParts,
): SocketBehavior<Subscriber> {
	const { hub, sockets, laggards, stragglers, onSlow, onFlood, echoesKeepalive, messageBytesMax, backlogBytesMax, metrics, log } =
		parts;
	const isDebug = log.isLevelEnabled('debug');
	const messageRefusal = messageRules(parts);
	const rateRefusal = tooFast(parts.messagesPerSecondMax);
	const turns = new MessageTurns();

	function opened(ws: Socket<Subscriber>): void {
		const subscriber = ws.getUserData();
		subscriber.place = sockets.add(ws);
		const channel = hub.join(subscriber.name, ws, ({ topic }) => {
			if (subscriber.place === undefined) return false;
			subscriber.isAdmitted = ws.subscribe(topic);
			return subscriber.isAdmitted;
		});
		subscriber.channel = channel;
		metrics.connectionOpened();
		if (isDebug) log.debug({ event: 'open', ...seenBy(subscriber, channel) }, 'subscribed');
	}

	function received(ws: Socket<Subscriber>, bytes: ArrayBuffer, isBinary: boolean): void {
		const channel = channelOfSender(ws);
		if (channel === undefined) return;
		if (bytes.byteLength === 0) {
			metrics.keepalive();
			if (echoesKeepalive) ws.send('', isBinary);
			return;
		}
		const refusal = messageRefusal(bytes.byteLength, isBinary);
		if (refusal !== undefined) {
			refuse(ws, channel, refusal);
			return;
		}
		metrics.messageReceived('websocket', bytes.byteLength);
		if (isDebug)
			log.debug({ event: 'publish', ...seenBy(ws.getUserData(), channel), bytes: bytes.byteLength }, 'published by websocket');
		hub.publish(channel, trustedMessage(bytes, isBinary), channel.subscribers === 1);
	}

	/** The channel of one that has sent something, unless it goes or is sent away, for lagging or for sending too much or too fast. */
	function channelOfSender(ws: Socket<Subscriber>, isPong = false): Channel | undefined {
		const { channel, allowance, pongAllowance, disconnectCause } = ws.getUserData();
		// Refused, or its channel was, and closed as soon as what was published before has gone out.
		if (channel === undefined || channel.isClosing || disconnectCause !== undefined) return undefined;
		if (!turns.take(ws)) {
			closeFlood(ws, channel);
			return undefined;
		}
		if (closeIfLagging(ws)) return undefined;
		const own = isPong ? pongAllowance : allowance;
		if (own === undefined || own.take(performance.now())) return channel;
		refuse(ws, channel, rateRefusal);
		return undefined;
	}

	function refuse(ws: Socket<Subscriber>, channel: Channel, { cause, code, reason }: MessageRefusal): void {
		const subscriber = ws.getUserData();
		subscriber.disconnectCause = cause;
		// What was published before this is sent before the close frame.
		hub.inOrder(channel, () => {
			if (subscriber.place !== undefined) stragglers.endOnceRead(ws, code, reason);
		});
	}

	// Closes at once, without waiting for messages that were published before: then the engine hands over nothing more of what it has read.
	function closeFlood(ws: Socket<Subscriber>, { name }: Channel): void {
		const subscriber = ws.getUserData();
		const { cause, code, reason } = tooMuchAtOnce;
		subscriber.disconnectCause = cause;
		onFlood(name, subscriber.ip ?? parts.clientAddress(ws.getRemoteAddress(), undefined));
		ws.end(code, reason);
	}

	// A websocket that sends keepalives or pings and reads nothing would pile up echoes and pongs: its backlog is judged here too.
	function closeIfLagging(ws: Socket<Subscriber>): boolean {
		const backlogBytes = stragglers.backlogOf(ws);
		if (backlogBytes <= backlogBytesMax) return false;
		laggards.note(ws, backlogBytes);
		dropLaggard(ws, 'slow');
		return true;
	}

	function closed(ws: Socket<Subscriber>, code: number, reason: ArrayBuffer): void {
		const subscriber = ws.getUserData();
		const { place, channel, disconnectCause } = subscriber;
		if (place !== undefined) sockets.remove(place);
		subscriber.place = undefined;
		const lag = laggards.forget(ws);
		if (channel === undefined) return;
		stragglers.forget(subscriber);
		hub.leave(channel, ws, subscriber.isAdmitted);
		const cause = disconnectCause ?? causeOf(code, channel);
		metrics.disconnected(cause);
		if ((cause === 'slow' || cause === 'memory') && lag !== undefined) onSlow(channel, lag, cause);
		if (isDebug)
			log.debug({ event: 'close', ...seenBy(subscriber, channel), code, reason: Buffer.from(reason).toString() }, 'unsubscribed');
	}

	function causeOf(code: number, channel: Channel): DisconnectCause {
		if (code === 1006) return 'lost';
		return code === 1000 && channel.isClosing ? 'operator' : 'client';
	}

	return {
		compression: 0,
		sendPingsAutomatically: true,
		idleTimeout: parts.pingTimeoutSeconds,
		// No limit: who has too much unread is taken out of the engine's hands and disconnected by us, before a message is dropped.
		maxBackpressure: 0,
		closeOnBackpressureLimit: false,
		// Beyond this the engine drops the connection without a close frame; up to it, we close with 1009.
		maxPayloadLength: 2 * messageBytesMax,
		upgrade,
		open: guarded(opened, parts.onFault),
		message: guarded(received, parts.onFault),
		drain: guarded((ws) => stragglers.onDrain(ws), parts.onFault),
		ping: guarded((ws) => void channelOfSender(ws), parts.onFault),
		pong: guarded((ws) => void channelOfSender(ws, true), parts.onFault),
		close: guarded(closed, parts.onFault),
	};
}

/** Wraps a handler of the engine's, so that a throw closes its websocket instead of ending the process. */
function guarded<Args extends unknown[]>(handler: (ws: Socket<Subscriber>, ...args: Args) => void, onFault: FaultListener) {
	return (ws: Socket<Subscriber>, ...args: Args): void => {
		try {
			handler(ws, ...args);
		} catch (error) {
			onFault(error, {}, 'A handler threw; its websocket is closed with 1011, and the server goes on.');
			try {
				ws.getUserData().disconnectCause = 'fault';
				ws.end(1011, 'the server failed to handle this connection; its log says why');
			} catch {
				// The engine throws if the websocket is closed already.
			}
		}
	};
}
