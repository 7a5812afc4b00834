// Whether there is room for one more subscriber.
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import type { Connections } from './registry.js';

/** What may be at its limit. */
export const limitCauses = ['channels', 'connections', 'memory', 'subscribers'] as const;
export type LimitCause = (typeof limitCauses)[number];

/** 0 stands for no limit, but not of connections, which file descriptors always limit. */
export type Limits = {
	readonly maxConnections: number;
	readonly maxChannels: number;
	readonly maxSubscribers: number;
	readonly isMemoryFull: () => boolean;
};

export type ReachedLimits = {
	/** The limit that keeps a new connection from joining a channel now; undefined if there is room. Without a name: any channel. */
	forConnection(name: ChannelName | undefined): LimitCause | undefined;
	/**
	 * The first of some channels that an open connection may not join when it has left others, by its index, and the limit; undefined if it
	 * may join all. A channel may stand there twice: the authorisation service may name one for several paths.
	 */
	forSubscriptions(names: readonly ChannelName[], leaving: readonly Channel[]): { index: number; limit: LimitCause } | undefined;
};

export function reachedLimits(
	hub: Hub,
	connections: Connections,
	{ maxConnections, maxChannels, maxSubscribers, isMemoryFull }: Limits,
): ReachedLimits {
	/** The limit for a channel that has so many subscribers, while so many channels are about to open. */
	function ofChannel(subscribers: number, opening: number): LimitCause | undefined {
		if (subscribers === 0) return maxChannels > 0 && hub.channels + opening >= maxChannels ? 'channels' : undefined;
		return maxSubscribers > 0 && subscribers >= maxSubscribers ? 'subscribers' : undefined;
	}

	function subscribersOf(name: ChannelName): number {
		return hub.find(name)?.subscribers ?? 0;
	}

	return {
		forConnection(name) {
			if (connections.count >= maxConnections) return 'connections';
			if (isMemoryFull()) return 'memory';
			return name === undefined ? undefined : ofChannel(subscribersOf(name), 0);
		},
		forSubscriptions(names, leaving) {
			if (names.length > 0 && isMemoryFull()) return { index: 0, limit: 'memory' };
			/** How many subscribers these channels will have. */
			const planned = new Map<ChannelName, number>();
			let opening = 0;
			for (const { name, isClosing } of leaving) {
				// A channel that has lost its name is counted no more.
				if (isClosing) continue;
				const rest = (planned.get(name) ?? subscribersOf(name)) - 1;
				planned.set(name, rest);
				if (rest === 0) opening--;
			}
			for (const [index, name] of names.entries()) {
				const subscribers = planned.get(name) ?? subscribersOf(name);
				const limit = ofChannel(subscribers, opening);
				if (limit !== undefined) return { index, limit };
				planned.set(name, subscribers + 1);
				if (subscribers === 0) opening++;
			}
			return undefined;
		},
	};
}
