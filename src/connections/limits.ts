// Whether there is room for one more subscriber.
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
	/** The first of some channels that an open connection may not join now, by its index, and the limit; undefined if it may join all. */
	forSubscriptions(names: readonly ChannelName[]): { readonly index: number; readonly limit: LimitCause } | undefined;
};

export function reachedLimits(
	hub: Hub,
	connections: Connections,
	{ maxConnections, maxChannels, maxSubscribers, isMemoryFull }: Limits,
): ReachedLimits {
	/** `opening` is the number of channels that are about to open besides, `joining` the number of subscribers that are about to join this one. */
	function ofChannel(name: ChannelName, opening: number, joining: number): LimitCause | undefined {
		const subscribers = (hub.find(name)?.subscribers ?? 0) + joining;
		if (subscribers === 0) return maxChannels > 0 && hub.channels + opening >= maxChannels ? 'channels' : undefined;
		return maxSubscribers > 0 && subscribers >= maxSubscribers ? 'subscribers' : undefined;
	}

	return {
		forConnection(name) {
			if (connections.count >= maxConnections) return 'connections';
			if (isMemoryFull()) return 'memory';
			return name === undefined ? undefined : ofChannel(name, 0, 0);
		},
		forSubscriptions(names) {
			let opening = 0;
			// The authorisation service may name one channel for several paths.
			const joining = new Map<ChannelName, number>();
			for (const [index, name] of names.entries()) {
				const before = joining.get(name) ?? 0;
				const limit = isMemoryFull() ? 'memory' : ofChannel(name, opening, before);
				if (limit !== undefined) return { index, limit };
				joining.set(name, before + 1);
				if (before === 0 && hub.find(name) === undefined) opening++;
			}
			return undefined;
		},
	};
}
