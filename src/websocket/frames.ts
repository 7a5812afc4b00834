// What the engine calls for a websocket: open -> subscribe -> publish -> close.

import { closes } from '../connections/closes.js';
import type { Closing } from '../connections/closing.js';
import type { Grant } from '../connections/connection.js';
import { closeAfterThrow } from '../connections/fault.js';
import type { Gaps } from '../connections/gaps.js';
import type { Membership } from '../connections/membership.js';
import type { SocketBehavior } from '../engine.js';
import type { GroupSet } from '../groups/group-set.js';
import { type IncomingParts, takeFrame } from '../groups/incoming.js';
import { headBytesMax } from '../groups/wire.js';
import type { PublishHook } from '../hooks/publish-hook.js';
import type { Events } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import { type Message, trustedMessage } from '../pubsub/message.js';
import type { OrderFailure, Publish, Published, SharedOrder } from '../pubsub/order.js';
import type { CatchUp } from '../slow/catch-up.js';
import type { SlowWatch } from '../slow/watch.js';
import type { Opened, UserData, WebSocket, WebSocketConnection } from './connection.js';
import { messageRules, tooFast, tooManyHeld, tooManyWaiting, tooMuchAtOnce } from './rules.js';
import { MessageTurns } from './turns.js';

export type FrameParts = IncomingParts & {
	readonly opened: Opened;
	readonly hub: Hub;
	/** Publishes on any channel, by its name. */
	readonly publish: Publish;
	/** Undefined without a relay. */
	readonly order: SharedOrder | undefined;
	readonly membership: Membership;
	readonly closing: Closing;
	readonly gaps: Gaps;
	/** Judges each message; undefined without --publish-hook. */
	readonly publishHook: PublishHook | undefined;
	readonly catchUp: CatchUp;
	readonly watch: SlowWatch;
	readonly events: Events;
	readonly mayPublish: boolean;
	readonly binary: boolean;
	readonly echoKeepalive: boolean;
	/** Whether connections may have several channels. */
	readonly groups: boolean;
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
	const {
		opened,
		hub,
		order,
		membership,
		closing,
		gaps,
		publishHook,
		catchUp,
		watch,
		events,
		echoKeepalive,
		answerLater,
		maxMessage,
		maxBacklog,
	} = parts;
	const messageClose = messageRules(parts);
	const rateClose = tooFast(parts.maxRate);
	const turns = new MessageTurns();

	function received(connection: WebSocketConnection, _ws: WebSocket, bytes: ArrayBuffer, isBinary: boolean): void {
		if (!mayBeHeard(connection)) return;
		if (bytes.byteLength === 0) {
			events.keepalive();
			if (echoKeepalive) answerLater(() => connection.tell('', isBinary));
			return;
		}
		const { grant, groups } = connection.terms;
		if (groups !== undefined) receivedInGroups(connection, groups, bytes, isBinary);
		else if (connection.subscription !== undefined) take(connection, connection.subscription.channel, grant, bytes, isBinary);
	}

	function receivedInGroups(connection: WebSocketConnection, groups: GroupSet, bytes: ArrayBuffer, isBinary: boolean): void {
		const close = messageClose(0, isBinary, true);
		if (close !== undefined) {
			closing.close(connection, close);
			return;
		}
		const message = takeFrame(groups, bytes, parts);
		if (message === undefined) return;
		if (message.body.byteLength === 0) events.keepalive();
		else take(connection, message.channel, message.grant, message.body, isBinary);
	}

	/** Takes a message for a channel of its client, and publishes it if `grant` allows that. */
	function take(
		connection: WebSocketConnection,
		channel: Channel,
		grant: Grant,
		bytes: ArrayBuffer | Uint8Array,
		isBinary: boolean,
	): void {
		const { party, grant: own } = connection.terms;
		const target = grant.publishesTo ?? (order === undefined ? undefined : channel.name);
		const close = messageClose(bytes.byteLength, isBinary, grant.mayPublish);
		const message = trustedMessage(bytes, isBinary, own.session ?? connection.id);
		if (close !== undefined) {
			closing.close(connection, close);
		} else if (publishHook !== undefined) {
			judge(publishHook, connection, grant.publishesTo ?? channel.name, message);
		} else if (target !== undefined) {
			publish(connection, target, message);
		} else {
			const { subscribers } = channel;
			events.published('websocket', channel.name, bytes.byteLength, { subscribers, nodes: undefined }, party);
			// While the engine reads a socket it gathers what goes to this socket, so a message to its sender alone need not be deferred.
			hub.deliver(channel, message, channel.subscribers === 1);
		}
	}

	/** Publishes on any channel, or closes the connection if the relay does not. */
	function publish(connection: WebSocketConnection, name: ChannelName, message: Message): void {
		const { party } = connection.terms;
		const bytes = message.bytes.byteLength;
		const tell = (result: Published | OrderFailure) => {
			if (typeof result !== 'string') events.published('websocket', name, bytes, result, party);
			else closing.close(connection, result === 'busy' ? tooManyWaiting : closes.unpublished);
		};
		const result = parts.publish(name, message, tell);
		if (result !== undefined) tell(result);
	}

	/** Publishes a message if the hook does not object, also if its sender has left by then. */
	function judge(hook: PublishHook, connection: WebSocketConnection, name: ChannelName, message: Message): void {
		const { grant } = connection.terms;
		const judged = { name, message, session: grant.session?.name, ip: connection.address() };
		const isTaken = hook.judge(connection, judged, (judgement) => {
			try {
				if ('reason' in judgement) closing.close(connection, { cause: 'publish_refused', reason: judgement.reason });
				else if (judgement.kind !== 'dropped') publish(connection, name, judgement.message);
			} catch (error) {
				closeAfterThrow(events, connection, error);
			}
		});
		if (!isTaken) closing.close(connection, tooManyHeld);
	}

	/** Whether the server handles a frame of a connection: not if the connection is closing, or is closed because of the frame. */
	function mayBeHeard(connection: WebSocketConnection, isPong = false): boolean {
		const { subscription, terms, closeCause, groups } = connection;
		const channel = groups?.first ?? subscription?.channel;
		// Its close frame may wait for what was published before.
		if (channel === undefined || closeCause !== undefined) return false;
		if (channel.isClosing && groups === undefined) {
			if (subscription !== undefined) gaps.closeNow(subscription);
			return false;
		}
		if (!turns.take(connection)) {
			events.flooded(channel.name, { ...terms.party, ip: connection.address() });
			// At once, without waiting for earlier messages: then the engine hands over nothing more of what it has read.
			connection.end(tooMuchAtOnce);
			return false;
		}
		if (dropIfSlow(connection)) return false;
		const { allowances } = terms;
		if (allowances === undefined) return true;
		const allowance = isPong ? allowances.pongs : allowances.messages;
		if (allowance.take(performance.now())) return true;
		closing.close(connection, rateClose);
		return false;
	}

	// A websocket that sends keepalives or pings and reads nothing would pile up echoes and pongs: it is judged here too.
	function dropIfSlow(connection: WebSocketConnection): boolean {
		const unreadBytes = catchUp.unreadBytesOf(connection);
		if (unreadBytes <= maxBacklog) return false;
		watch.note(connection, unreadBytes);
		connection.drop('slow');
		return true;
	}

	function closed(connection: WebSocketConnection, _ws: WebSocket, code: number, reason: ArrayBuffer): void {
		const { subscription, terms, groups, place } = connection;
		connection.closed();
		if (place === undefined) {
			connection.closeCause ??= 'lost';
			return;
		}
		const isOperators = code === 1000 && groups === undefined && subscription?.channel.isClosing;
		const cause = code === 1006 ? 'lost' : isOperators ? 'operator' : 'client';
		membership.leave(connection, cause, terms.party, { code, reason });
	}

	/** Wraps a handler of the engine's, for which a throw would end the process. */
	function guarded<Args extends unknown[]>(handler: (connection: WebSocketConnection, ws: WebSocket, ...args: Args) => void) {
		return (ws: WebSocket, ...args: Args): void => {
			const { connection } = ws.getUserData();
			try {
				handler(connection, ws, ...args);
			} catch (error) {
				closeAfterThrow(events, connection, error);
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
		maxPayloadLength: 2 * maxMessage + (parts.groups ? headBytesMax : 0),
		upgrade,
		// Sets `opened[0]` and allocates nothing, as Exchange.upgrade asks: Reflect.set is C++. The rest is done in upgrade.ts.
		open: Reflect.set.bind(undefined, opened, 0) as (ws: WebSocket) => void,
		message: guarded(received),
		drain: guarded((connection) => catchUp.onRead(connection)),
		ping: guarded((connection) => void mayBeHeard(connection)),
		pong: guarded((connection) => void mayBeHeard(connection, true)),
		close: guarded(closed),
	};
}
