// Plain counters on the hot path, written in Prometheus' text format when they are scraped.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Hub } from '../pubsub/hub.js';
import type { Published } from '../pubsub/order.js';
import type { CallbackHook, CallbackOutcome, Events, MessageSource, RefusedRequest } from './events.js';

/** Every value of the labels that have a fixed set of them. */
export type Labels = {
	readonly refusalCauses: readonly string[];
	readonly closeCauses: readonly string[];
	readonly questionOutcomes: readonly string[];
	readonly judgementOutcomes: readonly string[];
};

/** The counters. As a listener, it counts the events that it is told of. */
export class Metrics implements Partial<Events> {
	connections = 0;
	keepalives = 0;
	unheard = 0;
	receivedBytes = 0;
	connectErrors = 0;
	publishErrors = 0;
	readonly messages = { websocket: 0, post: 0 };
	readonly callbacks = { webhook: { sent: 0, dropped: 0 }, close_callback: { sent: 0, dropped: 0 } };
	readonly refusals = new Map<string, number>();
	readonly disconnects = new Map<string, number>();
	readonly questions = new Map<string, number>();
	readonly judgements = new Map<string, number>();
	readonly questionSeconds = new Histogram({
		name: 'pathcast_auth_question_seconds',
		help: 'From the arrival of a request to the answer of --auth, if one came in time.',
		buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
		registers: [],
	});

	readonly relaySeconds = new Histogram({
		name: 'pathcast_relay_round_trip_seconds',
		help: 'How long the relay took to answer, for some of the commands.',
		buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
		registers: [],
	});

	/** The labels are given so that each is exposed before it has happened. */
	constructor({ refusalCauses, closeCauses, questionOutcomes, judgementOutcomes }: Labels) {
		for (const cause of refusalCauses) this.refusals.set(cause, 0);
		for (const cause of closeCauses) this.disconnects.set(cause, 0);
		for (const outcome of questionOutcomes) this.questions.set(outcome, 0);
		for (const outcome of judgementOutcomes) this.judgements.set(outcome, 0);
	}

	opened(): void {
		this.connections++;
	}

	closed(cause: string): void {
		count(this.disconnects, cause);
	}

	questioned(outcome: string, seconds: number): void {
		count(this.questions, outcome);
		if (outcome === 'allowed' || outcome === 'denied' || outcome === 'malformed') this.questionSeconds.observe(seconds);
	}

	judged(outcome: string): void {
		count(this.judgements, outcome);
	}

	refused({ cause, aim }: Pick<RefusedRequest, 'cause' | 'aim'>): void {
		if (aim === 'connect') this.connectErrors++;
		if (aim === 'publish') this.publishErrors++;
		count(this.refusals, cause);
	}

	calledBack(hook: CallbackHook, outcome: CallbackOutcome, events: number): void {
		this.callbacks[hook][outcome] += events;
	}

	keepalive(): void {
		this.keepalives++;
	}

	published(source: MessageSource, _path: string, bytes: number, { subscribers, nodes }: Published): void {
		// An empty body is accepted, and publishes nothing.
		if (bytes === 0) return;
		this.messages[source === 'websocket' ? 'websocket' : 'post']++;
		this.receivedBytes += bytes;
		if ((subscribers ?? nodes) === 0) this.unheard++;
	}
}

function count(counts: Map<string, number>, label: string): void {
	counts.set(label, (counts.get(label) ?? 0) + 1);
}

export type Exposition = { readonly contentType: string; expose(): Promise<string> };

/** What waits for the hooks. */
export type WaitingForHooks = {
	/** Questions that wait for their turn. */
	readonly questions: () => number;
	/** Messages that wait for the publish hook. */
	readonly messages: () => number;
	/** Events of webhooks, and close callbacks, that are not accepted yet. */
	readonly callbacks: () => number;
};

/** What the relay has now, and totals since the start. */
export type RelayFigures = {
	/** Why a server of the relay is missed; undefined if all are there. */
	readonly missing: string | undefined;
	readonly channels: number;
	readonly waitingBytes: number;
	readonly totals: { readonly out: number; readonly in: number; readonly dropped: number; readonly gaps: number };
};

/** What the process is set to, what it has now, and whether it serves. */
export type ServerState = {
	readonly isReady: () => boolean;
	readonly maxConnections: number;
	/** How many websockets and event streams are open. */
	readonly connections: () => number;
	/** How many subscribers have something unread. */
	readonly slow: () => number;
	readonly waitingForHooks: WaitingForHooks;
	/** 0 for none. */
	readonly memoryBudget: number;
	/** Undefined without --relay. */
	readonly relay: RelayFigures | undefined;
};

/** All metrics in Prometheus' text format. The figures are read when it is asked for; nothing is labelled with a channel. */
export function metricsExposition(
	metrics: Metrics,
	hub: Hub,
	{ isReady, maxConnections, connections, slow, waitingForHooks, memoryBudget, relay }: ServerState,
): Exposition {
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

	/** A counter of plain numbers: one, or one for each value of a label. */
	function counter(name: string, help: string, read: () => number): void;
	function counter(name: string, help: string, read: () => Iterable<[string, number]>, label: string): void;
	function counter(name: string, help: string, read: () => number | Iterable<[string, number]>, label?: string): void {
		registry.registerMetric(
			new Counter({
				name,
				help,
				labelNames: label === undefined ? [] : [label],
				registers: [],
				collect() {
					this.reset();
					const counted = read();
					if (typeof counted === 'number') this.inc(counted);
					else for (const [value, count] of counted) this.inc({ [label as string]: value }, count);
				},
			}),
		);
	}

	gauge('pathcast_ready', '1 while /readyz says 200, else 0.', () => (isReady() ? 1 : 0));
	gauge('pathcast_connections_max', 'How many websockets and event streams there may be.', () => maxConnections);
	gauge('pathcast_memory_budget_bytes', '--memory-budget; 0 for none.', () => memoryBudget);
	gauge('pathcast_connections', 'Websockets and event streams at present.', connections);
	gauge(
		'pathcast_subscribers',
		'Subscriptions to channels at present; with --groups a connection may have several.',
		() => hub.subscribers,
	);
	gauge('pathcast_lagging_subscribers', 'Subscribers with a backlog when last looked at.', slow);
	gauge('pathcast_backlog_bytes', 'Kept for slow subscribers, each message once.', () => hub.keptBytes);
	gauge('pathcast_sessions', 'Sessions with at least one connection at present.', () => hub.sessions);
	gauge('pathcast_channels', 'Channels with at least one subscriber at present.', () => hub.channels);
	counter('pathcast_connections_opened_total', 'Websockets and event streams opened.', () => metrics.connections);
	counter(
		'pathcast_messages_received_total',
		'Non-empty messages accepted, by websocket, or by POST and PUT.',
		() => Object.entries(metrics.messages),
		'source',
	);
	counter('pathcast_messages_unheard_total', 'Accepted messages that nobody was subscribed to.', () => metrics.unheard);
	counter('pathcast_deliveries_total', 'Messages times subscribers they went to.', () => hub.deliveries);
	counter('pathcast_received_bytes_total', 'Bytes of accepted messages.', () => metrics.receivedBytes);
	counter('pathcast_delivered_bytes_total', 'Bytes of messages times subscribers they went to.', () => hub.deliveredBytes);
	counter('pathcast_keepalives_total', 'Empty websocket messages, which are dropped.', () => metrics.keepalives);
	counter('pathcast_refusals_total', 'Requests refused, by reason.', () => metrics.refusals, 'reason');
	counter('pathcast_disconnects_total', 'Websockets and event streams ended, by reason.', () => metrics.disconnects, 'reason');
	counter('pathcast_auth_questions_total', 'Questions to --auth, by outcome.', () => metrics.questions, 'outcome');
	registry.registerMetric(metrics.questionSeconds);
	gauge('pathcast_auth_waiting', 'Questions to --auth that wait for their turn.', waitingForHooks.questions);
	counter(
		'pathcast_publish_hook_messages_total',
		'Messages judged by --publish-hook, by outcome.',
		() => metrics.judgements,
		'outcome',
	);
	gauge('pathcast_publish_hook_waiting', 'Messages that wait for --publish-hook.', waitingForHooks.messages);
	counter(
		'pathcast_webhook_events_total',
		'Events for --webhook, by outcome.',
		() => Object.entries(metrics.callbacks.webhook),
		'outcome',
	);
	counter(
		'pathcast_close_callbacks_total',
		'Requests to --close-callback, by outcome.',
		() => Object.entries(metrics.callbacks.close_callback),
		'outcome',
	);
	gauge(
		'pathcast_callbacks_queued',
		'Events for --webhook, and requests to --close-callback, that are not accepted yet.',
		waitingForHooks.callbacks,
	);
	gauge('pathcast_relay_up', '0 while a server of --relay cannot be reached, else 1; 1 without a relay.', () =>
		relay?.missing === undefined ? 1 : 0,
	);
	gauge(
		'pathcast_relay_channels',
		'Channels and sessions that this server is subscribed to at the relay.',
		() => relay?.channels ?? 0,
	);
	gauge('pathcast_relay_waiting_bytes', 'Sent to the relay and not answered yet.', () => relay?.waitingBytes ?? 0);
	counter(
		'pathcast_relay_messages_total',
		'Messages to the relay (out), and from it (in).',
		() => Object.entries({ out: relay?.totals.out ?? 0, in: relay?.totals.in ?? 0 }),
		'direction',
	);
	counter('pathcast_relay_dropped_total', 'Payloads from the relay that are not messages.', () => relay?.totals.dropped ?? 0);
	counter(
		'pathcast_relay_gaps_total',
		'How often messages of the relay may have been missed; the subscribers are in pathcast_disconnects_total.',
		() => relay?.totals.gaps ?? 0,
	);
	registry.registerMetric(metrics.relaySeconds);
	return { contentType: registry.contentType, expose: () => registry.metrics() };
}
