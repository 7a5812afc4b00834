// The port between channels and open peers of any kind.
import type { Close, DropCause } from './close.js';
import type { Message } from './message.js';
import type { Subscription } from './subscription.js';

/** One open peer: a websocket or an event stream. */
export interface Peer {
	/** The first of its subscriptions, which lead to the others; undefined while it has none. The hub sets it. */
	subscription: Subscription | undefined;
	/** Lets the fan-out reach the peer on this channel. False if the peer is closed. */
	attach(subscription: Subscription): boolean;
	/** Ends that. What was published before still reaches the peer. */
	detach(subscription: Subscription): void;
	/** Sends one message of a channel to this peer alone. False if some of it waits for the peer to read. */
	send(message: Message, subscription: Subscription): boolean;
	/** Called when the peer has caught up: the fan-out reaches it on all its channels again. */
	caughtUp(): void;
	/** Lets everything that `write` sends go out together. */
	gather(write: () => void): void;
	/** The client's address, for the log. Only while the peer is open. */
	address(): string;
	/** How many bytes wait in this process for the peer to read. */
	unreadBytes(): number;
	/** Closes the peer after everything that was sent to it. Its subscriptions have left when this returns. */
	end(close: Close): void;
	/** Closes the peer at once. Does nothing if it is closed. Its subscriptions have left when this returns. */
	drop(cause: DropCause): void;
}
