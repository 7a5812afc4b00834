// Present figures and totals since the start, as JSON, under the keys that kuiperbelt uses and some more.

import type { Metrics } from '../observe/metrics.js';
import type { Hub } from '../pubsub/hub.js';
import { type Endpoint, json } from './endpoint.js';
import { scopeOf } from './scope.js';

// The causes of closing that are about a message.
const messageCauses = ['binary', 'receive_only', 'too_long', 'rate', 'publish_refused'];

export function statsEndpoint(
	metrics: Metrics,
	hub: Hub,
	connections: { readonly count: number },
	closingCount: () => number,
	isShared: boolean,
): Endpoint {
	const startedMs = performance.now();
	return {
		methods: ['GET'],
		path: '/stats',
		help: 'JSON: what is connected, totals since the start, backlog',
		answer: () =>
			json(200, {
				...scopeOf(isShared),
				connections: connections.count,
				total_connections: metrics.connections,
				total_messages: sum(Object.values(metrics.messages)),
				connect_errors: metrics.connectErrors,
				message_errors: metrics.publishErrors + sum(messageCauses.map((cause) => metrics.disconnects.get(cause) ?? 0)),
				closing_connections: closingCount(),
				channels: hub.channels,
				subscriptions: hub.subscribers,
				sessions: hub.sessions,
				deliveries: hub.deliveries,
				dropped: metrics.unheard,
				backlog: hub.deferredBytes,
				uptime: Math.floor((performance.now() - startedMs) / 1_000),
			}),
	};
}

function sum(numbers: readonly number[]): number {
	return numbers.reduce((total, number) => total + number, 0);
}
