// Plain counters on the hot path, summed into Prometheus' text format when somebody scrapes.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Hub } from '../pubsub/hub.js';

export type MessageSource = 'websocket' | 'post';

export class Metrics {
	connections = 0;
	keepalives = 0;
	readonly messages: Record<MessageSource, number> = { websocket: 0, post: 0 };

	connectionOpened(): void {
		this.connections++;
	}

	/** An empty websocket message. */
	keepalive(): void {
		this.keepalives++;
	}

	/** A message that was accepted, whether or not anybody is there to hear it. */
	messageReceived(source: MessageSource): void {
		this.messages[source]++;
	}
}

export type Exposition = { readonly contentType: string; expose(): Promise<string> };

/** All metrics in Prometheus' text format. The figures are read when it is asked for; nothing is labelled with a channel. */
export function metricsExposition(metrics: Metrics, hub: Hub): Exposition {
	const registry = new Registry();
	collectDefaultMetrics({ register: registry });

	function gauge(name: string, help: string, read: () => number): void {
		registry.registerMetric(
			new Gauge({
				name,
				help,
				registers: [],
				collect() {
					this.set(read());
				},
			}),
		);
	}

	function counter(name: string, help: string, labelNames: readonly string[], read: (add: Counter['inc']) => void): void {
		registry.registerMetric(
			new Counter({
				name,
				help,
				labelNames,
				registers: [],
				collect() {
					this.reset();
					read(this.inc.bind(this));
				},
			}),
		);
	}

	gauge('pathcast_subscribers', 'Subscribers at present.', () => hub.subscribers);
	gauge('pathcast_channels', 'Channels with at least one subscriber at present.', () => hub.channels);
	counter('pathcast_connections_opened_total', 'Websockets opened.', [], (add) => add(metrics.connections));
	counter('pathcast_messages_received_total', 'Non-empty messages accepted.', ['source'], (add) => {
		for (const [source, count] of Object.entries(metrics.messages)) add({ source }, count);
	});
	counter('pathcast_deliveries_total', 'Messages times subscribers they went to.', [], (add) => add(hub.deliveries));
	counter('pathcast_keepalives_total', 'Empty websocket messages, which are dropped.', [], (add) => add(metrics.keepalives));
	return { contentType: registry.contentType, expose: () => registry.metrics() };
}
