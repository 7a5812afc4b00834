// Channels, from their first subscriber to their last, and the order of their messages. Knows no network: the fan-out is passed in.
import { type Channel, newChannel } from './channel.js';
import { type ChannelName, isSession } from './channel-name.js';
import { KeptMessages, type Position } from './kept-messages.js';
import type { Message } from './message.js';
import { NameMap } from './name-map.js';
import { type FanOut, type Judge, Pacing, type PacingLimits } from './pacing.js';
import type { Peer } from './peer.js';
import { Places } from './places.js';
import { addSibling, addSubscription, removeSibling, removeSubscription, type Subscription } from './subscription.js';

export class Hub {
	readonly #pacing: Pacing;
	readonly #channels = new NameMap<Channel>();
	readonly #listed = new Places<Channel>();
	/** Channels that lost their names, and what to do when their last subscriber has left. */
	readonly #closing = new Map<Channel, () => void>();
	readonly #unreadBytesMax: number;
	/** How long a channel rests between two shares. */
	readonly restMs: number;
	readonly #kept = new Set<KeptMessages>();
	readonly #onFreed: (name: ChannelName) => void;
	#topics = 0;
	#sessions = 0;
	#subscribers = 0;

	/** `onFreed` hears that a name has no channel any more. */
	constructor(fanOut: FanOut, judge: Judge, limits: PacingLimits, onFreed: (name: ChannelName) => void = () => {}) {
		this.#onFreed = onFreed;
		this.#unreadBytesMax = limits.unreadBytesMax;
		this.restMs = limits.restMs;
		this.#pacing = new Pacing(fanOut, judge, limits);
	}

	/** Without the sessions. */
	get channels(): number {
		return this.#channels.size - this.#sessions;
	}

	get sessions(): number {
		return this.#sessions;
	}

	/** Of the channels, and not of the sessions. */
	get subscribers(): number {
		return this.#subscribers;
	}

	/** Messages handed to subscribers: a message to three subscribers is three deliveries. */
	get deliveries(): number {
		return this.#pacing.deliveries;
	}

	get deliveredBytes(): number {
		return this.#pacing.deliveredBytes;
	}

	/** What has not gone out yet, over all channels. Each message counts 64 bytes beside its own. */
	get deferredBytes(): number {
		return this.#pacing.deferredBytes;
	}

	/** What is kept for subscribers that are catching up, over all channels. Each message counts 64 bytes beside its own. */
	get keptBytes(): number {
		let bytes = 0;
		for (const kept of this.#kept) bytes += kept.bytes;
		return bytes;
	}

	/** The channel of that name, if it has a subscriber. */
	find(name: ChannelName): Channel | undefined {
		return this.#channels.get(name);
	}

	/** Shows channels from a place on, as Places does: 0 to begin with, then the place that it gave. */
	list(place: number, placesMax: number, visit: (channel: Channel) => 'more' | 'enough'): number | undefined {
		return this.#listed.visit(place, placesMax, visit);
	}

	/**
	 * Subscribes a peer. The fan-out reaches it when everything that was published before has gone out: it gets what is published from
	 * now on, and nothing earlier. `alias` is the name that a peer with several channels has for this one; undefined for other peers.
	 */
	join(name: ChannelName, peer: Peer, alias?: ChannelName): Subscription {
		let channel = this.#channels.get(name);
		if (channel === undefined) {
			channel = newChannel(name, String(++this.#topics));
			channel.place = this.#listed.add(channel);
			this.#channels.add(name, channel);
			if (isSession(name)) this.#sessions++;
		}
		const subscription: Subscription = {
			peer,
			channel,
			alias,
			isReached: false,
			position: undefined,
			newer: undefined,
			older: undefined,
			sibling: undefined,
		};
		channel.subscribers++;
		if (alias !== undefined) channel.grouped++;
		addSubscription(channel, subscription);
		addSibling(subscription);
		if (!isSession(name)) this.#subscribers++;
		this.inOrder(channel, () => reach(subscription));
		return subscription;
	}

	/** Ends all subscriptions of a peer. */
	leave({ subscription }: Peer): void {
		for (let next = subscription; next !== undefined; next = next.sibling) this.#end(next);
	}

	/**
	 * Ends one subscription of a peer. What the fan-out has sent it still reaches the peer. To be called in the order of the channel: a join
	 * that still waits would attach the peer again.
	 */
	leaveChannel(subscription: Subscription): void {
		if (subscription.isReached) subscription.peer.detach(subscription);
		removeSibling(subscription);
		this.#end(subscription);
	}

	/** Ends a subscription. With the last one the channel is gone, and what it has not sent. */
	#end(subscription: Subscription): void {
		const { channel, position, alias } = subscription;
		if (alias !== undefined) channel.grouped--;
		if (!isSession(channel.name)) this.#subscribers--;
		removeSubscription(channel, subscription);
		if (position !== undefined) this.#endCatchUp(subscription, position);
		else if (subscription.isReached) channel.reached--;
		if (--channel.subscribers > 0) return;
		this.#pacing.forget(channel);
		const onEmpty = this.#closing.get(channel);
		if (onEmpty === undefined) {
			this.#free(channel);
		} else {
			this.#closing.delete(channel);
			onEmpty();
		}
	}

	#free(channel: Channel): void {
		this.#listed.remove(channel.place);
		this.#channels.delete(channel.name);
		if (isSession(channel.name)) this.#sessions--;
		this.#onFreed(channel.name);
	}

	/**
	 * Takes its name from a channel: a peer that joins, or a message that is published, under that name from now on has to do with
	 * another channel. Calls `onSent` when everything that was published before has gone out, unless all subscribers have left by then;
	 * and `onEmpty` when the last subscriber has left.
	 */
	close(channel: Channel, onSent: () => void, onEmpty: () => void): void {
		// A publish right before this may have cut its last, slow reader.
		if (channel.subscribers === 0) {
			onEmpty();
			return;
		}
		channel.isClosing = true;
		this.#free(channel);
		this.#closing.set(channel, onEmpty);
		this.inOrder(channel, onSent);
	}

	/** Sends a message to the subscribers of a channel here, in the order of the calls. See Pacing.deliver. */
	deliver(channel: Channel, message: Message, isGathered = false): void {
		this.#pacing.deliver(channel, message, isGathered);
	}

	/** The same by name. Gives the number of subscribers: without any, the message goes nowhere. An empty message never does. */
	deliverTo(name: ChannelName, message: Message): number {
		const channel = this.find(name);
		if (channel === undefined) return 0;
		const { subscribers } = channel;
		if (message.bytes.byteLength > 0) this.deliver(channel, message);
		return subscribers;
	}

	/** Does something to a channel's subscribers after everything that is published so far, and before everything that comes. */
	inOrder(channel: Channel, action: () => void): void {
		this.#pacing.inOrder(channel, action);
	}

	/** Does something after everything that is published so far to a peer, on all its channels. */
	inOrderFor({ subscription }: Peer, action: () => void): void {
		this.#inOrderFrom(subscription, action);
	}

	#inOrderFrom(subscription: Subscription | undefined, action: () => void): void {
		if (subscription === undefined) action();
		else this.inOrder(subscription.channel, () => this.#inOrderFrom(subscription.sibling, action));
	}

	/**
	 * Lets a subscriber catch up, which the fan-out must not reach from now on: what is sent is kept for it, and `nextFor` gives it message
	 * by message. `onLost` hears when that and what the peer has unread exceed `unreadBytesMax`: nothing is kept for it any more.
	 */
	startCatchUp(subscription: Subscription, onLost: () => void): void {
		const { channel, peer } = subscription;
		subscription.isReached = false;
		channel.reached--;
		if (channel.kept === undefined) {
			channel.kept = new KeptMessages(this.#unreadBytesMax);
			this.#kept.add(channel.kept);
		}
		subscription.position = channel.kept.enter(() => peer.unreadBytes(), onLost);
	}

	/** The next message for a subscriber that is catching up; it counts as delivered. Undefined if there is none. */
	nextFor({ channel, position }: Subscription): Message | undefined {
		const message = position && channel.kept?.next(position);
		if (message !== undefined) this.#pacing.countDelivery(message);
		return message;
	}

	/** What is sent from now on is not for this subscriber, which is catching up. */
	keepNoMoreFor({ channel, position }: Subscription): void {
		if (position !== undefined) channel.kept?.endFor(position);
	}

	/** Counts a subscriber as caught up, which the fan-out reaches from now on. */
	caughtUp(subscription: Subscription): void {
		const { channel, position } = subscription;
		if (position === undefined) return;
		subscription.isReached = true;
		channel.reached++;
		this.#endCatchUp(subscription, position);
	}

	#endCatchUp(subscription: Subscription, position: Position): void {
		const { channel } = subscription;
		subscription.position = undefined;
		const { kept } = channel;
		kept?.leave(position);
		if (kept === undefined || !kept.isUnused) return;
		this.#kept.delete(kept);
		channel.kept = undefined;
	}

	/** Sends all that is deferred, without a rest. */
	flush(): void {
		this.#pacing.flushAll();
	}

	/** The same for the channels of one peer. Not to be called by something that is done in the order of a channel. */
	flushFor({ subscription }: Peer): void {
		for (let next = subscription; next !== undefined; next = next.sibling) this.#pacing.flush(next.channel);
	}
}

function reach(subscription: Subscription): void {
	const { channel, peer } = subscription;
	if (!peer.attach(subscription)) return;
	subscription.isReached = true;
	channel.reached++;
}
