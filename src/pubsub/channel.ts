// A channel, as the hub keeps it. Knows no network.
import type { ChannelName } from './channel-name.js';
import type { KeptMessages } from './kept-messages.js';
import type { Message } from './message.js';
import type { Subscription } from './subscription.js';

/** A channel with at least one subscriber. Only the hub changes it. */
export type Channel = {
	readonly name: ChannelName;
	/** The engine's topic of this channel: a number. Clients could choose names that collide in the engine's table of topics. */
	readonly topic: string;
	/** Where listings find it. */
	place: number;
	/** Its subscriptions, from the newest to the oldest. */
	newest: Subscription | undefined;
	/** Whether it has lost its name: it sends what was published before, and nothing more. */
	isClosing: boolean;
	subscribers: number;
	/** How many of them are connections that may have several channels. A channel with such a subscriber is a grouped channel. */
	grouped: number;
	/** How many of them the fan-out reaches: see Subscription. */
	reached: number;
	/** What subscribers that are catching up are to be sent; undefined if there are none. */
	kept: KeptMessages | undefined;
	/** What it has to send; undefined until something is published here. Of very many channels, most stay silent. */
	outbox: Outbox | undefined;
};

/** What a channel sends, and how much of it in one tick. */
export type Outbox = {
	/** The last tick in which something was published here or went out, and in that tick: messages published, messages and bytes sent. */
	tick: number;
	messagesInTick: number;
	sentInTick: number;
	bytesInTick: number;
	/** Bytes sent since the channel's subscribers were last judged by what they have unread. */
	unjudgedBytes: number;
	/** Whether the last tick before that one in which something was published here was a burst, however long ago. */
	isHot: boolean;
	/** Messages that have not gone out yet, and actions between them, in order. */
	deferred: (Message | (() => void))[];
	deferredBytes: number;
};

export function newChannel(name: ChannelName, topic: string): Channel {
	return {
		name,
		topic,
		place: 0,
		newest: undefined,
		isClosing: false,
		subscribers: 0,
		grouped: 0,
		reached: 0,
		kept: undefined,
		outbox: undefined,
	};
}

export function newOutbox(): Outbox {
	// No tick. A small integer, because V8 boxes a number that began as anything else.
	const tick = -1;
	return {
		tick,
		messagesInTick: 0,
		sentInTick: 0,
		bytesInTick: 0,
		unjudgedBytes: 0,
		isHot: false,
		deferred: [],
		deferredBytes: 0,
	};
}
