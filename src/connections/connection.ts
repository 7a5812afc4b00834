// One open connection of any kind: who it is, what it may do, and a way to close it.
import type { CloseCause } from '../pubsub/close.js';
import type { Peer } from '../pubsub/peer.js';
import type { Subscription } from '../pubsub/subscription.js';

/** What a connection may do, and until when. */
export type Grant = {
	readonly mayPublish: boolean;
	/** When the connection is to be closed, by performance.now(); undefined for never. */
	readonly expiresMs: number | undefined;
};

export interface Connection extends Peer {
	/** Unique in this process: one more than that of the connection that was let in before. */
	readonly id: number;
	readonly grant: Grant;
	/** Its place among the open connections; undefined before it opens, and after it has closed. */
	place: number | undefined;
	/** Its one subscription, once it is open. */
	subscription: Subscription | undefined;
	/** Why the server closes it, once the server does. */
	closeCause: CloseCause | undefined;
}
