// Closes connections: each after everything that was published before, and no more in a tick than the loop can bear.

import type { Channel } from '../pubsub/channel.js';
import { type ChannelName, isSession } from '../pubsub/channel-name.js';
import type { Close } from '../pubsub/close.js';
import type { Hub } from '../pubsub/hub.js';
import type { SharedOrder } from '../pubsub/order.js';
import type { Peer } from '../pubsub/peer.js';
import type { Subscription } from '../pubsub/subscription.js';
import type { CatchUp } from '../slow/catch-up.js';
import { closes } from './closes.js';
import type { Connection } from './connection.js';
import type { Connections } from './registry.js';
import type { Round } from './spread.js';

/** How many connections are closed in one tick. 200 close frames kept every tick under 7 ms with 4,000 clients; a drop takes 10 µs. */
export const closesPerTick = 200;
// Places without a connection cost next to nothing.
const placesPerTick = 5_000;

type ClosingCause = 'stopping' | 'moved' | 'age' | 'expired';

// Sixteen subscriptions take as long to end as a connection with one.
const subscriptionsPerClose = 16;

/** How much of a tick's room the close of a connection takes. */
function roomFor({ groups }: Connection): number {
	return groups === undefined ? 1 : 1 + Math.floor(groups.size / subscriptionsPerClose);
}

export class Closing {
	readonly #hub: Hub;
	readonly #connections: Connections;
	readonly #catchUp: CatchUp;
	readonly #order: Pick<SharedOrder, 'whenBack'> | undefined;
	readonly #closesPerTick: number;
	/** How many rounds over all have begun. */
	#round = 0;
	#roomInTick: number;
	/** Connections that are to be closed and still wait for what was published before. They count in the tick that closes them. */
	#waiting: Connection[] = [];
	#isTickScheduled = false;
	#hasUnread = false;
	/** Connections that wait until the relay has brought everything that was published on their channels before. */
	readonly #behindRelay = new Map<Connection, Close>();

	/** `order` is undefined without a relay. */
	constructor(
		hub: Hub,
		connections: Connections,
		catchUp: CatchUp,
		order?: Pick<SharedOrder, 'whenBack'>,
		perTick = closesPerTick,
	) {
		this.#order = order;
		this.#hub = hub;
		this.#connections = connections;
		this.#catchUp = catchUp;
		this.#closesPerTick = perTick;
		this.#roomInTick = perTick;
	}

	/** Whether a connection of the last round over all had unread messages before its close frame. */
	get hasUnread(): boolean {
		return this.#hasUnread;
	}

	/** A round over all connections that are let in so far. It takes the place of the one before. */
	all(cause: 'stopping' | 'moved'): Round {
		const round = ++this.#round;
		const { lastId } = this.#connections;
		this.#hasUnread = false;
		return this.#over(
			({ id }) => (id <= lastId ? cause : undefined),
			() => round !== this.#round,
		);
	}

	/** A round over the connections whose grant has expired. */
	expired(): Round {
		const nowMs = performance.now();
		return this.#over(
			({ grant: { expiry } }) => (expiry !== undefined && expiry.atMs <= nowMs ? expiry.cause : undefined),
			() => false,
		);
	}

	/** A round over the subscribers of channels that have lost their names, which ends their subscriptions. */
	ofChannels(channels: Channel[], isOver: () => boolean, close: Close): Round {
		return {
			isOver,
			close: (count) => {
				const asked = Math.min(count, this.#roomInTick);
				let closed = 0;
				while (closed < asked && channels[0] !== undefined) {
					const { newest } = channels[0];
					if (newest === undefined) {
						channels.shift();
						continue;
					}
					closed++;
					this.#takeRoom(1);
					this.endSubscription(newest, close);
				}
				return closed;
			},
		};
	}

	/**
	 * Closes one connection after everything that was published to it, and everything that it has published, unless it is being closed
	 * already.
	 */
	close(connection: Connection, close: Close): void {
		if (connection.closeCause !== undefined) return;
		// From now on the connection joins and leaves no channel, or what waits in the order of a channel could be lost with it.
		connection.closeCause = close.cause;
		if (this.#order === undefined) {
			this.#closeInOrder(connection, close);
			return;
		}
		this.#behindRelay.set(connection, close);
		this.#order.whenBack(namesOf(connection), () => this.#closeBehindRelay(connection));
	}

	/** Closes the connections that wait for a relay that does not answer: they would be dropped without a close frame. */
	waitForRelayNoLonger(): void {
		for (const connection of [...this.#behindRelay.keys()]) this.#closeBehindRelay(connection);
	}

	#closeBehindRelay(connection: Connection): void {
		const close = this.#behindRelay.get(connection);
		if (close === undefined) return;
		this.#behindRelay.delete(connection);
		this.#closeInOrder(connection, close);
	}

	#closeInOrder(connection: Connection, close: Close): void {
		this.#hub.inOrderFor(connection, () => {
			if (connection.place === undefined) return;
			this.#hasUnread ||= this.#catchUp.unreadBytesOf(connection) > 0;
			this.#catchUp.endOnceRead(connection, close);
		});
	}

	/** The same for many, some in each tick. */
	closeEach(connections: readonly Connection[], close: Close): void {
		let room = this.#closesPerTick;
		let next = 0;
		for (const connection of connections) {
			if (room <= 0) break;
			room -= roomFor(connection);
			next++;
			this.close(connection, close);
		}
		const rest = connections.slice(next);
		if (rest.length > 0) setImmediate(() => this.closeEach(rest, close));
	}

	/**
	 * Ends one subscription after everything that its channel has sent, and with it the connection, unless that goes on without the channel:
	 * without its session no connection does.
	 * The connection has left the channel when this returns.
	 */
	endSubscription(subscription: Subscription, close: Close): void {
		// Every peer of a server is a connection.
		const connection = subscription.peer as Connection;
		const { groups, closeCause } = connection;
		if (groups !== undefined && closeCause === undefined && !isSession(subscription.channel.name)) {
			groups.end([subscription], close);
			return;
		}
		// The channel of its session may still be sending a burst.
		this.#hub.flushFor(connection);
		// A connection with several channels that is being closed keeps its close code.
		const own = groups && this.#catchUp.endingOf(connection);
		this.#catchUp.endAtOnce(connection, own ?? close);
	}

	/** A round over the connections for which `causeOf` gives a cause. */
	#over(causeOf: (connection: Connection) => ClosingCause | undefined, isCalledOff: () => boolean): Round {
		let place: number | undefined = 0;
		return {
			isOver: () => place === undefined || isCalledOff(),
			close: (count) => {
				const asked = Math.min(count, this.#roomInTick);
				if (place === undefined || isCalledOff() || asked <= 0) return 0;
				let closed = 0;
				place = this.#connections.visit(place, placesPerTick, (connection) => {
					const cause = causeOf(connection);
					if (cause !== undefined && this.#closeInRound(connection, cause)) closed++;
					return closed < asked && this.#roomInTick > 0 ? 'more' : 'enough';
				});
				return closed;
			},
		};
	}

	#closeInRound(connection: Connection, cause: ClosingCause): boolean {
		const { subscription, closeCause, groups } = connection;
		if (closeCause !== undefined) return false;
		// The operator is closing its channel, with a code of its own.
		if (groups === undefined && subscription?.channel.isClosing && cause !== 'stopping') return false;
		this.#takeRoom(roomFor(connection));
		this.close(connection, closes[cause]);
		if (this.#isWaiting(connection)) this.#waiting.push(connection);
		return true;
	}

	/** Whether a connection is still to be closed. A connection that is catching up is closed in its own time. */
	#isWaiting(connection: Connection): boolean {
		return connection.place !== undefined && !this.#catchUp.isEnding(connection);
	}

	#takeRoom(room: number): void {
		this.#roomInTick -= room;
		if (this.#isTickScheduled) return;
		this.#isTickScheduled = true;
		setImmediate(this.#beginTick);
	}

	readonly #beginTick = (): void => {
		this.#waiting = this.#waiting.filter((connection) => this.#isWaiting(connection));
		this.#roomInTick = this.#closesPerTick - this.#waiting.length;
		this.#isTickScheduled = this.#waiting.length > 0;
		// By then a channel that rests has sent its next share.
		if (this.#isTickScheduled) setTimeout(this.#beginTick, this.#hub.restMs);
	};
}

/** The names of the channels of a peer. */
function namesOf(peer: Peer): ChannelName[] {
	const names: ChannelName[] = [];
	for (let subscription = peer.subscription; subscription !== undefined; subscription = subscription.sibling)
		names.push(subscription.channel.name);
	return names;
}
