// Peers and connections without a network.
import type { Connection } from '#src/connections/connection.js';
import type { Peer } from '#src/pubsub/peer.js';

/** A peer that takes everything at once, but for what a test gives it. */
export function fakePeer(own: Partial<Peer> = {}): Peer {
	return {
		attach: () => true,
		detach() {},
		send: () => true,
		gather: (write) => write(),
		address: () => '192.0.2.1',
		unreadBytes: () => 0,
		end() {},
		drop() {},
		...own,
	};
}

/** The same as a connection. */
export function fakeConnection(own: Partial<Connection> = {}): Connection {
	return {
		...fakePeer(),
		id: 1,
		grant: { mayPublish: true, expiresMs: undefined },
		place: undefined,
		subscription: undefined,
		closeCause: undefined,
		...own,
	};
}
