// All endpoints of the operator's listener.
import { channelCloser } from '../connections/channel-closing.js';
import type { Connection } from '../connections/connection.js';
import type { Connections } from '../connections/registry.js';
import type { Publisher } from '../http/publisher.js';
import type { Events } from '../observe/events.js';
import type { Log } from '../observe/log.js';
import { type Metrics, metricsExposition, type WaitingForHooks } from '../observe/metrics.js';
import { parseChannelField, parseChannelName } from '../pubsub/channel-name.js';
import type { Close } from '../pubsub/close.js';
import type { Hub } from '../pubsub/hub.js';
import type { Subscription } from '../pubsub/subscription.js';
import { channelEndpoints } from './channels.js';
import { drainEndpoint } from './drain.js';
import type { Endpoint } from './endpoint.js';
import { healthEndpoints } from './health.js';
import { sessionEndpoints } from './sessions.js';
import { statsEndpoint } from './stats.js';

export type OperatorParts = {
	readonly hub: Hub;
	readonly connections: Connections;
	readonly metrics: Metrics;
	readonly events: Events;
	readonly log: Log;
	readonly publisher: Publisher;
	/** How many subscribers have something unread. */
	readonly slow: () => number;
	readonly waitingForHooks: WaitingForHooks;
	readonly whyNotReady: () => string | undefined;
	readonly sessionHeader: string;
	readonly strictBroadcast: boolean;
	readonly closeConnections: (connections: readonly Connection[], close: Close) => void;
	readonly unreadBytesOf: (connection: Connection) => number;
	/** How many connections have been closed by the server, and still have to read something before. */
	readonly closingCount: () => number;
	/** Ends one subscription to a channel that the operator closes, or its connection. It has left when this returns. */
	readonly endSubscription: (subscription: Subscription) => void;
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
	const { hub, connections, metrics, whyNotReady, endSubscription, maxConnections, maxPath, memoryBudget } = parts;
	const common = {
		...parts,
		closeChannel: channelCloser(hub, endSubscription),
		readName: (path: string) => parseChannelName(path, maxPath),
		readNameOfField: (value: string) => parseChannelField(value, maxPath),
		onPublishRefused: (cause: string) => metrics.refused({ cause, aim: 'publish' }),
	};
	const exposition = metricsExposition(metrics, hub, {
		isReady: () => whyNotReady() === undefined,
		maxConnections,
		connections: () => connections.count,
		slow: parts.slow,
		waitingForHooks: parts.waitingForHooks,
		memoryBudget,
	});
	return [
		...healthEndpoints({ exposition, whyNotReady }),
		statsEndpoint(metrics, hub, connections, parts.closingCount),
		...channelEndpoints(common),
		...sessionEndpoints(common),
		drainEndpoint(parts),
	];
}
