// All endpoints of the operator's listener.
import type { CloseChannel } from '../connections/channel-closing.js';
import type { Connection } from '../connections/connection.js';
import type { Connections } from '../connections/registry.js';
import type { Publisher } from '../http/publisher.js';
import type { Events } from '../observe/events.js';
import type { Log } from '../observe/log.js';
import { type Metrics, metricsExposition, type RelayFigures, type WaitingForHooks } from '../observe/metrics.js';
import type { Channel } from '../pubsub/channel.js';
import { parseChannelField, parseChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import type { SharedOrder } from '../pubsub/order.js';
import { channelEndpoints } from './channels.js';
import { closerByName } from './closing.js';
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
	readonly unreadBytesOf: (connection: Connection) => number;
	/** How many connections have been closed by the server, and still have to read something before. */
	readonly closingCount: () => number;
	readonly closeChannel: CloseChannel;
	/** Undefined without a relay. */
	readonly order: SharedOrder | undefined;
	/** Undefined without a relay, as `order`. `closingOf` gives the closing of a channel that the relay has brought. */
	readonly sharing:
		| { readonly relay: RelayFigures; readonly closingOf: (channel: Channel) => Promise<void> | undefined }
		| undefined;
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
	const { hub, connections, metrics, whyNotReady, closeChannel, order, sharing, maxConnections, maxPath, memoryBudget } = parts;
	const isShared = order !== undefined;
	const common = {
		...parts,
		isShared,
		closeByName: closerByName(hub, closeChannel, order, (channel) => sharing?.closingOf(channel)),
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
		relay: sharing?.relay,
	});
	return [
		...healthEndpoints({ exposition, whyNotReady }),
		statsEndpoint(metrics, hub, connections, parts.closingCount, isShared),
		...channelEndpoints(common),
		...sessionEndpoints(common),
		drainEndpoint(parts),
	];
}
