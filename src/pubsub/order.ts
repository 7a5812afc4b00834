// The order of the messages of channels that several servers share. A server without a relay needs none: the order of the calls decides.
import type { ChannelName } from './channel-name.js';
import type { Hub } from './hub.js';
import type { Message } from './message.js';

/**
 * Why nothing can be done on a channel. `away`: the relay cannot be reached, or does not take it, and nothing was published. `busy`: too
 * much waits for the relay, and nothing was published. `unknown`: the answer was lost, so the message may have been published or not.
 */
export type OrderFailure = 'away' | 'busy' | 'unknown';

/**
 * How many subscribers a message went to; undefined if some are on other servers. `nodes` is how many servers, and other clients of the
 * relay, listen to the channel; undefined without a relay.
 */
export type Published = { readonly subscribers: number | undefined; readonly nodes: number | undefined };

/** Publishes a message. Gives the result, or undefined: then it calls `done` in a later turn. */
export type Publish = (
	name: ChannelName,
	message: Message,
	done: (result: Published | OrderFailure) => void,
) => Published | OrderFailure | undefined;

/** Publishes by way of the relay, or here if there is none. */
export function publishing(hub: Hub, order: SharedOrder | undefined): Publish {
	if (order !== undefined) return (name, message, done) => order.publish(name, message, done);
	return (name, message) => ({ subscribers: hub.deliverTo(name, message), nodes: undefined });
}

export interface SharedOrder {
	/** Whether what is published on a channel comes to this server. A subscriber may join in this turn. */
	brings(name: ChannelName): boolean;
	/**
	 * Has what is published on these channels come to this server. Calls `done` in a later turn, without a failure if a subscriber may join
	 * them all in that turn. Gives the function that calls this off.
	 */
	bring(names: readonly ChannelName[], done: (failure: OrderFailure | undefined) => void): () => void;
	/** To be called when a channel has lost its last subscriber here. */
	left(name: ChannelName): void;
	/** Publishes a message, which may be empty to count only. Gives the failure, or calls `done` in a later turn. */
	publish(name: ChannelName, message: Message, done: (result: Published | OrderFailure) => void): OrderFailure | undefined;
	/** Closes a channel for its subscribers on all servers, after everything that was published before. As `publish`. */
	close(name: ChannelName, done: (result: Published | OrderFailure) => void): OrderFailure | undefined;
	/** Calls `done` when everything that this server has published on these channels so far has come back, or never will. */
	whenBack(names: readonly ChannelName[], done: () => void): void;
}
