// The connections of a session: usually one.
import type { Channel } from '../pubsub/channel.js';
import type { Connection } from './connection.js';

/** The connections that are subscribed to a channel, the newest first. */
export function connectionsOf(channel: Channel): Connection[] {
	const connections: Connection[] = [];
	for (let subscription = channel.newest; subscription !== undefined; subscription = subscription.older) {
		// Every peer of a server is a connection.
		connections.push(subscription.peer as Connection);
	}
	return connections;
}
