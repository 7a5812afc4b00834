// One open connection of any kind: who it is, what it may do, and a way to close it.
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName, SessionName } from '../pubsub/channel-name.js';
import type { Close, CloseCause } from '../pubsub/close.js';
import type { Peer } from '../pubsub/peer.js';
import type { Subscription } from '../pubsub/subscription.js';

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

/** The channels of a connection that may have several (--groups), and that stays open without any. */
export interface Groups {
	/** The path of its URL: its name for the first channel. */
	readonly path: ChannelName;
	/** Its first channel, also after it has left that channel; undefined before it opens. */
	readonly first: Channel | undefined;
	/** How many it has. */
	readonly size: number;
	/** The paths that it is subscribed to. */
	paths(): Iterable<ChannelName>;
	/** Ends subscriptions after everything that their channels have sent, and tells the client why. They have ended when this returns. */
	end(subscriptions: readonly Subscription[], close: Close): void;
}

export interface Connection extends Peer {
	/** Unique in this process: one more than that of the connection that was let in before. */
	readonly id: number;
	readonly grant: Grant;
	/** Undefined for a connection that has one channel, and ends with it. */
	readonly groups: Groups | undefined;
	/** Its place among the open connections; undefined before it opens, and after it has closed. */
	place: number | undefined;
	/** Why the server closes it, once the server does. */
	closeCause: CloseCause | undefined;
}
