// Channels from their first subscriber to their last. When their messages go out, and in which order, sender.ts decides.
// Knows no network: the fan-out is handed to it.
import { type Channel, newChannel } from './channel.js';
import type { ChannelName } from './channel-name.js';
import { addMember, type Member, removeMember } from './members.js';
import type { Message } from './message.js';
import { NameMap } from './name-map.js';
import { Places } from './places.js';
import { type FanOut, type Judge, Sender } from './sender.js';
import { SharedBacklog, type Waiter } from './shared-backlog.js';

export class Hub {
	readonly #sender: Sender;
	readonly #channels = new NameMap<Channel>();
	readonly #listed = new Places<Channel>();
	/** Channels that lost their names, and what to do when their last subscriber has left. */
	readonly #closing = new Map<Channel, () => void>();
	readonly #backlogBytesMax: number;
	readonly #backlogs = new Set<SharedBacklog>();
	#topics = 0;
	#subscribers = 0;

	/** See Sender: how far a subscriber may lag behind, and how many messages a channel publishes at once before it defers. */
	constructor(fanOut: FanOut, judge: Judge, backlogBytesMax: number, directMax?: number) {
		this.#backlogBytesMax = backlogBytesMax;
		this.#sender = new Sender(fanOut, judge, backlogBytesMax, directMax);
	}

	get channels(): number {
		return this.#channels.size;
	}

	get subscribers(): number {
		return this.#subscribers;
	}

	/** Messages handed to subscribers: a message to three subscribers is three deliveries. */
	get deliveries(): number {
		return this.#sender.deliveries;
	}

	get deliveredBytes(): number {
		return this.#sender.deliveredBytes;
	}

	/** What has not gone out yet, over all channels. Each message counts 64 bytes beside its own. */
	get deferredBytes(): number {
		return this.#sender.deferredBytes;
	}

	/** What is kept for subscribers who have fallen behind, over all channels. Each message counts 64 bytes beside its own. */
	get backlogBytes(): number {
		let bytes = 0;
		for (const backlog of this.#backlogs) bytes += backlog.bytes;
		return bytes;
	}

	/** The channel of that name, if anybody is subscribed to it. */
	find(name: ChannelName): Channel | undefined {
		return this.#channels.get(name);
	}

	/** Shows channels from a place on, as Places does: 0 to begin with, then the place that it gave. */
	list(place: number, placesMax: number, visit: (channel: Channel) => 'more' | 'enough'): number | undefined {
		return this.#listed.visit(place, placesMax, visit);
	}

	/**
	 * Counts a subscriber in. `admit` lets the fan-out reach it, when all that was published before has gone out: it sees what
	 * is published from now on, and nothing earlier. It tells whether the subscriber is still there to be admitted.
	 */
	join(name: ChannelName, member: Member, admit: (channel: Channel) => boolean): Channel {
		let channel = this.#channels.get(name);
		if (channel === undefined) {
			channel = newChannel(name, String(++this.#topics));
			channel.place = this.#listed.add(channel);
			this.#channels.add(name, channel);
		}
		const joined = channel;
		joined.subscribers++;
		addMember(joined, member);
		this.#subscribers++;
		this.inOrder(joined, () => {
			if (admit(joined)) joined.admitted++;
		});
		return joined;
	}

	/** Counts a subscriber out. With the last one the channel is gone, and with it what nobody is left to hear. */
	leave(channel: Channel, member: Member, wasAdmitted: boolean): void {
		this.#subscribers--;
		removeMember(channel, member);
		if (wasAdmitted) channel.admitted--;
		if (--channel.subscribers > 0) return;
		this.#sender.forget(channel);
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
	}

	/**
	 * Parts a channel from its name: who joins or publishes there from now on meets nobody of this one. Calls `onSent` when
	 * what was published before has gone out, unless all have left by then; and `onEmpty` when the last has left.
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

	/** Puts the message into the channel's order. `isEcho` is one whose only subscriber is its sender. */
	publish(channel: Channel, message: Message, isEcho = false): void {
		this.#sender.publish(channel, message, isEcho);
	}

	/** Does something to a channel's subscribers after all that is published so far, and before all that comes. */
	inOrder(channel: Channel, action: () => void): void {
		this.#sender.inOrder(channel, action);
	}

	/**
	 * Counts one among those who have fallen behind, whom the fan-out is not to reach from now on. What is sent from now on is
	 * kept for it, and `nextFor` gives it message by message. `onTooFar` hears when that and what it has `unread` are more than
	 * `backlogBytesMax`: nothing is kept for it any more.
	 */
	fallBehind(channel: Channel, unread: () => number, onTooFar: () => void): Waiter {
		channel.admitted--;
		if (channel.backlog === undefined) {
			channel.backlog = new SharedBacklog(this.#backlogBytesMax);
			this.#backlogs.add(channel.backlog);
		}
		return channel.backlog.enter(unread, onTooFar);
	}

	/** The next message for one who has fallen behind, which counts as delivered. Undefined if there is none. */
	nextFor(waiter: Waiter, channel: Channel): Message | undefined {
		const message = channel.backlog?.next(waiter);
		if (message !== undefined) this.#sender.countDelivery(message);
		return message;
	}

	/** What is sent from now on is not for one who has fallen behind. */
	keepNoMore(waiter: Waiter, channel: Channel): void {
		channel.backlog?.endFor(waiter);
	}

	/** Counts one again among those whom the fan-out reaches: from now on it does, or the one has closed and is to leave. */
	catchUp(waiter: Waiter, channel: Channel): void {
		const { backlog } = channel;
		if (backlog === undefined) return;
		channel.admitted++;
		backlog.leave(waiter);
		if (!backlog.isUnused) return;
		this.#backlogs.delete(backlog);
		channel.backlog = undefined;
	}

	/** Sends all that is deferred, whatever it does to slow readers. */
	flush(): void {
		this.#sender.flush();
	}
}
