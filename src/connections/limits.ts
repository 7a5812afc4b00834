// Whether there is room for one more subscriber: asked when an upgrade is right in every other way.

import type { HeaderLines, RefusalCause, Refused } from '../http/reply.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';

/** Why there may be no room. */
export const limitCauses: readonly RefusalCause[] = ['channels', 'connections', 'memory', 'subscribers'];

/** 0 stands for no limit, but not of connections, which file descriptors always limit. */
export type AdmissionLimits = {
	readonly connectionsMax: number;
	readonly channelsMax: number;
	readonly subscribersPerChannelMax: number;
	readonly isMemoryFull: () => boolean;
};

/** Why a websocket may not join a channel now, or undefined. */
export type Admission = (name: ChannelName) => Refused | undefined;

export function admission(
	hub: Hub,
	{ connectionsMax, channelsMax, subscribersPerChannelMax, isMemoryFull }: AdmissionLimits,
): Admission {
	return (name) => {
		if (hub.subscribers >= connectionsMax) return noConnection;
		if (isMemoryFull()) return noMemory;
		const channel = hub.find(name);
		if (channel === undefined) return channelsMax > 0 && hub.channels >= channelsMax ? noChannel : undefined;
		return subscribersPerChannelMax > 0 && channel.subscribers >= subscribersPerChannelMax ? noSubscriber : undefined;
	};
}

// Long enough that a crowd that is turned away costs little, short enough that a place that comes free is soon taken.
const headers: HeaderLines = [['Retry-After', '5']];

const noConnection: Refused = {
	status: 503,
	cause: 'connections',
	reason: 'The server has as many websockets as it takes: try again in a few seconds (--max-connections).',
	headers,
	closesConnection: true,
};
const noChannel: Refused = {
	status: 503,
	cause: 'channels',
	reason: 'The server has as many channels as it takes: try again in a few seconds (--max-channels).',
	headers,
	closesConnection: true,
};
const noSubscriber: Refused = {
	status: 503,
	cause: 'subscribers',
	reason: 'The channel has as many subscribers as it takes: try again in a few seconds (--max-subscribers).',
	headers,
	closesConnection: true,
};
const noMemory: Refused = {
	status: 503,
	cause: 'memory',
	reason: 'The server has no memory for more websockets: try again in a few seconds (--memory-budget).',
	headers,
	closesConnection: true,
};
