// One peer on one channel, and the list of a channel's subscriptions, which runs through the subscriptions themselves.
import type { Channel } from './channel.js';
import type { ChannelName } from './channel-name.js';
import type { Position } from './kept-messages.js';
import type { Peer } from './peer.js';

/**
 * A subscription, from joining to leaving. The links are the list's: two references for each subscription, where a set would cost every
 * channel, most of which have few subscribers, some hundreds of bytes.
 */
export type Subscription = {
	readonly peer: Peer;
	readonly channel: Channel;
	/** The name that a peer that may have several channels has for this one. The authorisation service may have named another channel for it. */
	readonly alias: ChannelName | undefined;
	/** Whether the fan-out reaches the peer: not before earlier messages have gone out, and not while it is catching up. */
	isReached: boolean;
	/** Its position among the kept messages while it is catching up. */
	position: Position | undefined;
	newer: Subscription | undefined;
	older: Subscription | undefined;
	/** The next subscription of the same peer. */
	sibling: Subscription | undefined;
};

/** Adds to the subscriptions of its peer. */
export function addSibling(subscription: Subscription): void {
	const { peer } = subscription;
	let last = peer.subscription;
	if (last === undefined) {
		peer.subscription = subscription;
		return;
	}
	while (last.sibling !== undefined) last = last.sibling;
	last.sibling = subscription;
}

/** Removes from the subscriptions of its peer. */
export function removeSibling(subscription: Subscription): void {
	const { peer, sibling } = subscription;
	if (peer.subscription === subscription) {
		peer.subscription = sibling;
		return;
	}
	let before = peer.subscription;
	while (before !== undefined && before.sibling !== subscription) before = before.sibling;
	if (before !== undefined) before.sibling = sibling;
}

/** The subscriptions, from the newest to the oldest. */
export type Subscriptions = { newest: Subscription | undefined };

export function addSubscription(subscriptions: Subscriptions, subscription: Subscription): void {
	const { newest } = subscriptions;
	subscription.older = newest;
	if (newest !== undefined) newest.newer = subscription;
	subscriptions.newest = subscription;
}

export function removeSubscription(subscriptions: Subscriptions, subscription: Subscription): void {
	const { newer, older } = subscription;
	if (older !== undefined) older.newer = newer;
	if (newer !== undefined) newer.older = older;
	else subscriptions.newest = older;
	subscription.newer = undefined;
	subscription.older = undefined;
}
