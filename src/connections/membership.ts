// How a connection of any kind enters and leaves: it is counted, subscribed and watched, and the events are told.
import type { CloseFrame, Events, Party } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import { type ChannelName, isSession } from '../pubsub/channel-name.js';
import type { CloseCause } from '../pubsub/close.js';
import type { Hub } from '../pubsub/hub.js';
import type { CatchUp } from '../slow/catch-up.js';
import type { SlowWatch } from '../slow/watch.js';
import type { Connection } from './connection.js';
import type { Connections } from './registry.js';

export type MembershipParts = {
	readonly hub: Hub;
	readonly connections: Connections;
	readonly catchUp: CatchUp;
	readonly watch: SlowWatch;
	readonly events: Events;
};

export class Membership {
	readonly #parts: MembershipParts;

	constructor(parts: MembershipParts) {
		this.#parts = parts;
	}

	enter(connection: Connection, name: ChannelName, party: Party | undefined): void {
		const { hub, connections, events } = this.#parts;
		connection.place = connections.add(connection);
		const { channel } = hub.join(name, connection, connection.groups?.path);
		const { session } = connection.grant;
		if (session !== undefined && hub.join(session.name, connection).channel.subscribers === 2)
			events.sessionShared(session.name, channel, party);
		events.joined(channel);
		events.opened(channel, party);
	}

	/** To be called once, when the connection gets nothing more. `peerCause` is why, unless the server closes it. */
	leave(connection: Connection, peerCause: CloseCause, party: Party | undefined, frame?: CloseFrame): void {
		const { hub, connections, catchUp, watch, events } = this.#parts;
		const { place, groups, subscription: first } = connection;
		if (place === undefined) return;
		connections.remove(place);
		connection.place = undefined;
		const channel = groups?.first ?? first?.channel;
		if (channel === undefined) return;
		const slowness = watch.forget(connection);
		catchUp.forget(connection);
		hub.leave(connection);
		const cause = connection.closeCause ?? peerCause;
		if ((cause === 'slow' || cause === 'memory') && slowness !== undefined)
			events.slow(channel, { ...party, ip: slowness.ip }, slowness.unreadBytes, cause);
		events.closed(cause, channel, party, frame);
		const channels: Channel[] = [];
		for (let subscription = first; subscription !== undefined; subscription = subscription.sibling) {
			if (!isSession(subscription.channel.name)) channels.push(subscription.channel);
		}
		tellLeft(events, channels);
	}
}

/** Tells of each channel once: a connection may have had it twice, under two names. */
export function tellLeft(events: Pick<Events, 'left'>, channels: readonly Channel[]): void {
	for (const channel of new Set(channels)) events.left(channel);
}
