// A channel, as the hub keeps it. Knows no network.
import type { ChannelName } from './channel-name.js';
import type { Member } from './members.js';
import type { Message } from './message.js';
import type { SharedBacklog } from './shared-backlog.js';

/** A channel with at least one subscriber. Only the hub changes it. */
export type Channel = {
	readonly name: ChannelName;
	/** The engine's topic of this channel: a number. Clients could choose names that collide in the engine's table of topics. */
	readonly topic: string;
	/** Where listings find it. */
	place: number;
	/** Its subscribers, from the newest to the oldest. */
	newest: Member | undefined;
	/** Whether it has lost its name, and sends what was published and nothing more. */
	isClosing: boolean;
	subscribers: number;
	/** Those of them that the fan-out reaches: not those who joined behind deferred messages, nor those who have fallen behind. */
	admitted: number;
	/** What those who have fallen behind are to be sent; undefined if there are none. */
	backlog: SharedBacklog | undefined;
	/** What it has to send; undefined until something is published here, as it is for most of very many channels. */
	outbox: Outbox | undefined;
};

/** What a channel sends, and how much of it in one tick. */
export type Outbox = {
	/** The last tick in which something was published here or went out, and in that tick: messages published, messages and bytes sent. */
	tick: number;
	messagesInTick: number;
	sentInTick: number;
	bytesInTick: number;
	/** Bytes sent since the backlogs of the channel's subscribers were last judged. */
	unjudgedBytes: number;
	/** Whether the last tick before that one in which something was published here was a burst, however long ago. */
	isHot: boolean;
	/** What has not gone out yet, and what has to happen between, in order. */
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
		admitted: 0,
		backlog: undefined,
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
