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

/** The limit that keeps a new connection from joining a channel now; undefined if there is room. Without a name: any channel. */
export type ReachedLimit = (name: ChannelName | undefined) => LimitCause | undefined;

export function reachedLimit(
	hub: Hub,
	connections: Connections,
	{ maxConnections, maxChannels, maxSubscribers, isMemoryFull }: Limits,
): ReachedLimit {
	return (name) => {
		if (connections.count >= maxConnections) return 'connections';
		if (isMemoryFull()) return 'memory';
		if (name === undefined) return undefined;
		const channel = hub.find(name);
		if (channel === undefined) return maxChannels > 0 && hub.channels >= maxChannels ? 'channels' : undefined;
		return maxSubscribers > 0 && channel.subscribers >= maxSubscribers ? 'subscribers' : undefined;
	};
}
