// All endpoints of the operator's listener.
import { channelCloser } from '../connections/channel-closing.js';
import type { Connections } from '../connections/registry.js';
import type { Publisher } from '../http/post.js';
import type { Events } from '../observe/events.js';
import type { Log } from '../observe/log.js';
import { type Metrics, metricsExposition } from '../observe/metrics.js';
import { parseChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import type { Subscription } from '../pubsub/subscription.js';
import { channelEndpoints } from './channels.js';
import { drainEndpoint } from './drain.js';
import type { Endpoint } from './endpoint.js';
import { healthEndpoints } from './health.js';
import { statsEndpoint } from './stats.js';

export type OperatorParts = {
	readonly hub: Hub;
	readonly connections: Connections;
	readonly metrics: Metrics;
	readonly events: Events;
	readonly log: Log;
	readonly publish: Publisher;
	/** How many subscribers have something unread. */
	readonly slow: () => number;
	readonly whyNotReady: () => string | undefined;
	/** Closes one subscriber of a channel that the operator closes. It has left when this returns. */
	readonly closeSubscriber: (subscription: Subscription) => void;
	readonly isStopping: () => boolean;
	readonly stop: () => void;
	/** Closes the connections that are open now, evenly over that time, and gives how many. */
	readonly shed: (overSeconds: number) => number;
	readonly maxConnections: number;
	readonly maxMessage: number;
	readonly maxPath: number;
	readonly memoryBudget: number;
};

export function operatorEndpoints(parts: OperatorParts): Endpoint[] {
	const { hub, connections, metrics, whyNotReady, closeSubscriber, maxConnections, maxPath, memoryBudget } = parts;
	const exposition = metricsExposition(metrics, hub, {
		isReady: () => whyNotReady() === undefined,
		maxConnections,
		slow: parts.slow,
		memoryBudget,
	});
	return [
		...healthEndpoints({ exposition, whyNotReady }),
		statsEndpoint(metrics, hub, connections),
		...channelEndpoints({
			...parts,
			closeChannel: channelCloser(hub, closeSubscriber),
			readName: (path) => parseChannelName(path, maxPath),
			onPublishRefused: (cause) => metrics.refused({ cause, aim: 'publish' }),
		}),
		drainEndpoint(parts),
	];
}
