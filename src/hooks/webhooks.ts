// Tells the webhooks what happens to connections and channels: listens to the events, and queues what is wanted of them for each URL.
import type { CloseFrame, Events, Party } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import type { CloseCause, DropCause } from '../pubsub/close.js';
import { ChannelPresence } from './channel-presence.js';
import { DeliveryQueue, type OnOutcome } from './delivery-queue.js';
import type { Service } from './service.js';
import { type Happening, webhookDelivery } from './webhook-delivery.js';
import type { WebhookEvent } from './webhook-events.js';

export type WebhookParts = {
	/** One for each URL, with a listener for its outcomes. */
	readonly receivers: readonly { readonly service: Service; readonly onOutcome: OnOutcome }[];
	readonly wanted: readonly WebhookEvent[];
	/** The name of this server, when the first request goes out. */
	readonly node: () => string;
	readonly secret: Buffer | undefined;
};

// A request for each event would cost more than serving its connection.
const batchMs = 100;
const batchEventsMax = 100;

export class Webhooks implements Partial<Events> {
	readonly #queues: readonly DeliveryQueue<Happening>[];
	readonly #wanted: ReadonlySet<WebhookEvent>;
	readonly #channels: ChannelPresence | undefined;
	/** When each connection opened, by performance.now(): only if `disconnect` is wanted. */
	readonly #openedMs = new Map<number, number>();

	constructor({ receivers, wanted, node, secret }: WebhookParts) {
		this.#queues = receivers.map(
			(receiver) =>
				new DeliveryQueue<Happening>({
					...receiver,
					// One after another, so that they arrive in order.
					atOnceMax: 1,
					batchItemsMax: batchEventsMax,
					batchMs,
					delivery: (happenings) => webhookDelivery(happenings, node(), secret),
				}),
		);
		this.#wanted = new Set(wanted);
		if (!this.#wanted.has('channel_opened') && !this.#wanted.has('channel_closed')) return;
		this.#channels = new ChannelPresence({
			onOpened: (path) => this.#tell({ event: 'channel_opened', timeMs: Date.now(), path }),
			onClosed: (path, timeMs) => this.#tell({ event: 'channel_closed', timeMs, path }),
		});
	}

	/** How many events are queued, over all URLs. */
	get queued(): number {
		return this.#queues.reduce((sum, { queued }) => sum + queued, 0);
	}

	joined(channel: Channel): void {
		this.#channels?.joined(channel);
	}

	left(channel: Channel): void {
		this.#channels?.left(channel);
	}

	opened(channel: Channel, party: Party | undefined): void {
		if (this.#wanted.has('disconnect') && party?.conn !== undefined) this.#openedMs.set(party.conn, performance.now());
		this.#tell({ event: 'connect', timeMs: Date.now(), path: channel.name, party });
	}

	closed(cause: CloseCause, channel: Channel, party: Party | undefined, frame: CloseFrame | undefined): void {
		const duration = this.#durationOf(party?.conn);
		this.#tell({ event: 'disconnect', timeMs: Date.now(), path: channel.name, party, cause, code: frame?.code, duration });
	}

	slow(channel: Channel, party: Party, unreadBytes: number, cause: DropCause): void {
		this.#tell({ event: 'slow', timeMs: Date.now(), path: channel.name, party, cause, backlog: unreadBytes });
	}

	/** Sends everything at once, and from now on each event. What is not accepted after `patienceMs` is dropped. */
	async finish(patienceMs: number): Promise<void> {
		this.#channels?.finish();
		await Promise.all(this.#queues.map((queue) => queue.finish(patienceMs)));
	}

	/** How many seconds a connection was open. */
	#durationOf(conn: number | undefined): number | undefined {
		const openedMs = conn === undefined ? undefined : this.#openedMs.get(conn);
		if (conn === undefined || openedMs === undefined) return undefined;
		this.#openedMs.delete(conn);
		return Math.round(performance.now() - openedMs) / 1_000;
	}

	#tell(happening: Happening): void {
		if (!this.#wanted.has(happening.event)) return;
		for (const queue of this.#queues) queue.push(happening);
	}
}
