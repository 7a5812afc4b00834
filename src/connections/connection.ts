// One open connection of any kind: who it is, what it may do, and a way to close it.
import type { ChannelName, SessionName } from '../pubsub/channel-name.js';
import type { CloseCause } from '../pubsub/close.js';
import type { Peer } from '../pubsub/peer.js';

/** What a connection may do, and until when. */
export type Grant = {
	readonly mayPublish: boolean;
	/** Where its messages are published; undefined for its own channel. */
	readonly publishesTo: ChannelName | undefined;
	/** When the connection is to be closed; undefined for never. */
	readonly expiry: Expiry | undefined;
	/** Its name, and the private channel of that name; undefined for none. */
	readonly session: Session | undefined;
};

/** A time by performance.now(), and whether it comes from --max-age or from the authorisation service. */
export type Expiry = { readonly atMs: number; readonly cause: 'age' | 'expired' };

/** `openedMs` is in milliseconds since 1970. */
export type Session = { readonly name: SessionName; readonly openedMs: number };

export interface Connection extends Peer {
	/** Unique in this process: one more than that of the connection that was let in before. */
	readonly id: number;
	readonly grant: Grant;
	/** Its place among the open connections; undefined before it opens, and after it has closed. */
	place: number | undefined;
	/** Why the server closes it, once the server does. */
	closeCause: CloseCause | undefined;
}
