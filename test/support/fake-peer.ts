// Hubs, peers and connections without a network.
import type { Connection } from '#src/connections/connection.js';
import { Hub } from '#src/pubsub/hub.js';
import type { Peer } from '#src/pubsub/peer.js';
import { pacingLimits } from '#src/websocket/pacing-limits.js';

/** A hub that reaches no network. */
export function silentHub(unreadBytesMax = 1_048_576): Hub {
	return new Hub(
		() => {},
		() => {},
		pacingLimits(unreadBytesMax, false),
	);
}

/** A peer that takes everything at once, but for what a test gives it. */
export function fakePeer(own: Partial<Peer> = {}): Peer {
	return {
		subscription: undefined,
		attach: () => true,
		detach() {},
		send: () => true,
		caughtUp() {},
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
		grant: { mayPublish: true, publishesTo: undefined, expiry: undefined, session: undefined },
		groups: undefined,
		place: undefined,
		closeCause: undefined,
		...own,
	};
}
