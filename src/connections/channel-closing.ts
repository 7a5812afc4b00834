// Closes whole channels, without holding up the loop.
import type { Channel } from '../pubsub/channel.js';
import { isSession } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import type { Subscription } from '../pubsub/subscription.js';
import { closes } from './closes.js';
import { type Closing, closesPerTick } from './closing.js';
import type { Connection } from './connection.js';

// Fewer than closesPerTick, if there is much to be sent before the close frames.
const closeMsMax = 10;

/**
 * Gives a function that closes a channel, and resolves when the channel has no subscriber any more. Each subscriber gets everything that
 * was published before, then a close frame. The channels are closed one after another, so that many together take no more of a tick
 * than one. `close` ends one subscription, or its peer, which has left the channel when that returns.
 */
export function channelCloser(hub: Hub, close: (subscription: Subscription) => void): (channel: Channel) => Promise<void> {
	const closing: Channel[] = [];

	function closeSome(): void {
		let closes = 0;
		const endMs = performance.now() + closeMsMax;
		while (closing[0] !== undefined && closes < closesPerTick && performance.now() < endMs) {
			const { newest } = closing[0];
			if (newest === undefined) {
				closing.shift();
			} else {
				closes++;
				close(newest);
			}
		}
		if (closing.length > 0) setImmediate(closeSome);
	}

	return (channel) =>
		new Promise((resolve) => {
			hub.close(channel, () => void (closing.push(channel) === 1 && setImmediate(closeSome)), resolve);
		});
}

/** Closes a channel or a session, as an operator asks for. Resolves when it has no subscriber any more. */
export type CloseChannel = (channel: Channel) => Promise<void>;

/** The connections of a session are closed, and those of a channel that have others too go on with the others. */
export function operatorCloser(hub: Hub, closing: Closing): CloseChannel {
	const closeChannel = channelCloser(hub, (subscription) => closing.endSubscription(subscription, closes.channelClosed));
	return (channel) => {
		if (!isSession(channel.name)) return closeChannel(channel);
		return new Promise((resolve) => {
			hub.close(channel, () => closing.closeEach(connectionsOf(channel), closes.sessionClosed), resolve);
		});
	};
}

/** The connections that are subscribed to a channel, the newest first. */
export function connectionsOf(channel: Channel, countMax = Number.POSITIVE_INFINITY): Connection[] {
	const connections: Connection[] = [];
	let subscription = channel.newest;
	for (; subscription !== undefined && connections.length < countMax; subscription = subscription.older) {
		// Every peer of a server is a connection.
		connections.push(subscription.peer as Connection);
	}
	return connections;
}
