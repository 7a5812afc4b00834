// What the engine calls for a websocket: open -> subscribe -> publish -> close.
import { closes } from '../connections/closes.js';
import type { Membership } from '../connections/membership.js';
import type { SocketBehavior } from '../engine.js';
import type { Events } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import type { Close, CloseCause } from '../pubsub/close.js';
import type { Hub } from '../pubsub/hub.js';
import { trustedMessage } from '../pubsub/message.js';
import type { Subscription } from '../pubsub/subscription.js';
import type { CatchUp } from '../slow/catch-up.js';
import type { SlowWatch } from '../slow/watch.js';
import type { UserData, WebSocket, WebSocketConnection } from './connection.js';
import { messageRules, tooFast, tooMuchAtOnce } from './rules.js';
import { MessageTurns } from './turns.js';

export type FrameParts = {
	readonly hub: Hub;
	readonly membership: Membership;
	readonly catchUp: CatchUp;
	readonly watch: SlowWatch;
	readonly events: Events;
	readonly binary: boolean;
	readonly echoKeepalive: boolean;
	readonly maxMessage: number;
	readonly maxRate: number;
	readonly maxBacklog: number;
	readonly pingTimeout: number;
};

/** What the engine calls for its websockets, after `upgrade` has let them in. */
export function webSocketBehavior(
	upgrade: NonNullable<SocketBehavior<UserData>['upgrade']>,
	parts: FrameParts,
): SocketBehavior<UserData> {
	const { hub, membership, catchUp, watch, events, echoKeepalive, maxMessage, maxBacklog } = parts;
	const messageClose = messageRules(parts);
	const rateClose = tooFast(parts.maxRate);
	const turns = new MessageTurns();

	function opened(connection: WebSocketConnection, ws: WebSocket): void {
		connection.opened(ws);
		membership.enter(connection, ws.getUserData().name, connection.terms.party);
	}

	function received(connection: WebSocketConnection, ws: WebSocket, bytes: ArrayBuffer, isBinary: boolean): void {
		const subscription = subscriptionOfSender(connection);
		if (subscription === undefined) return;
		if (bytes.byteLength === 0) {
			events.keepalive();
			if (echoKeepalive) ws.send('', isBinary);
			return;
		}
		const close = messageClose(bytes.byteLength, isBinary, connection.terms.grant.mayPublish);
		if (close !== undefined) {
			closeInOrder(connection, subscription, close);
			return;
		}
		const { channel } = subscription;
		events.published('websocket', channel.name, bytes.byteLength, channel.subscribers, connection.terms.party);
		// While the engine reads a socket it gathers what goes to this socket, so a message to its sender alone need not be deferred.
		hub.publish(channel, trustedMessage(bytes, isBinary), channel.subscribers === 1);
	}

	/** The subscription of a connection that has sent something; undefined if the connection is closing, or is closed for that. */
	function subscriptionOfSender(connection: WebSocketConnection, isPong = false): Subscription | undefined {
		const { subscription, terms, closeCause } = connection;
		// Its close frame may wait for what was published before.
		if (subscription === undefined || subscription.channel.isClosing || closeCause !== undefined) return undefined;
		if (!turns.take(connection)) {
			events.flooded(subscription.channel.name, connection.address());
			// At once, without waiting for earlier messages: then the engine hands over nothing more of what it has read.
			connection.end(tooMuchAtOnce);
			return undefined;
		}
		if (dropIfSlow(connection, subscription)) return undefined;
		const { allowances } = terms;
		if (allowances === undefined) return subscription;
		const allowance = isPong ? allowances.pongs : allowances.messages;
		if (allowance.take(performance.now())) return subscription;
		closeInOrder(connection, subscription, rateClose);
		return undefined;
	}

	/** Closes a connection after everything that was published before. */
	function closeInOrder(connection: WebSocketConnection, subscription: Subscription, close: Close): void {
		connection.closeCause = close.cause;
		hub.inOrder(subscription.channel, () => {
			if (connection.place !== undefined) catchUp.endOnceRead(subscription, close);
		});
	}

	// A websocket that sends keepalives or pings and reads nothing would pile up echoes and pongs: it is judged here too.
	function dropIfSlow(connection: WebSocketConnection, subscription: Subscription): boolean {
		const unreadBytes = catchUp.unreadBytesOf(subscription);
		if (unreadBytes <= maxBacklog) return false;
		watch.note(subscription, unreadBytes);
		connection.drop('slow');
		return true;
	}

	function closed(connection: WebSocketConnection, _ws: WebSocket, code: number, reason: ArrayBuffer): void {
		const { subscription, terms } = connection;
		connection.closed();
		if (subscription === undefined) return;
		membership.leave(connection, causeOf(code, subscription.channel), terms.party, { code, reason });
	}

	/** Wraps a handler of the engine's, so that a throw closes its websocket instead of ending the process. */
	function guarded<Args extends unknown[]>(handler: (connection: WebSocketConnection, ws: WebSocket, ...args: Args) => void) {
		return (ws: WebSocket, ...args: Args): void => {
			const { connection } = ws.getUserData();
			try {
				handler(connection, ws, ...args);
			} catch (error) {
				events.fault(error, {}, 'A handler threw; its websocket is closed with 1011, and the server goes on.');
				try {
					connection.end(closes.failed);
				} catch {
					// The engine throws if the websocket is closed already.
				}
			}
		};
	}

	return {
		compression: 0,
		sendPingsAutomatically: true,
		idleTimeout: parts.pingTimeout,
		// No limit: a subscriber with too much unread is taken out of the fan-out's reach and dropped by us, before a message is lost.
		maxBackpressure: 0,
		closeOnBackpressureLimit: false,
		// Beyond this the engine drops the connection without a close frame; up to it, the server closes with 1009.
		maxPayloadLength: 2 * maxMessage,
		upgrade,
		open: guarded(opened),
		message: guarded(received),
		drain: guarded(({ subscription }) => subscription && catchUp.onRead(subscription)),
		ping: guarded((connection) => void subscriptionOfSender(connection)),
		pong: guarded((connection) => void subscriptionOfSender(connection, true)),
		close: guarded(closed),
	};
}

function causeOf(code: number, channel: Channel): CloseCause {
	if (code === 1006) return 'lost';
	return code === 1000 && channel.isClosing ? 'operator' : 'client';
}
