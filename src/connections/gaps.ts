// Closes the subscribers that may have missed a message of the relay.
import type { Channel } from '../pubsub/channel.js';
import type { Hub } from '../pubsub/hub.js';
import type { Subscription } from '../pubsub/subscription.js';
import { closes } from './closes.js';
import { type Closing, closesPerTick } from './closing.js';
import { spread } from './spread.js';

export class Gaps {
	readonly #hub: Hub;
	readonly #closing: Closing;
	readonly #overMs: number;
	/** The channels that have been given up, and still have subscribers. */
	readonly #givenUp = new Set<Channel>();
	/** When a gap was the first in the time of one, by performance.now(), and how many subscribers have been given up since. */
	#sinceMs = Number.NEGATIVE_INFINITY;
	#subscribersSince = 0;

	/** `overMs` is the time over which the subscribers are closed, so that they do not all return together. */
	constructor(hub: Hub, closing: Closing, overMs: number) {
		this.#hub = hub;
		this.#closing = closing;
		this.#overMs = overMs;
	}

	/**
	 * Gives up channels: they lose their names at once, so that their subscribers, which may have missed a message, get no later one. Gives
	 * how many subscribers are closed.
	 */
	giveUp(channels: readonly Channel[]): number {
		let subscribers = 0;
		let left = channels.length;
		/** The channels that have sent all earlier messages. */
		const sent: Channel[] = [];
		for (const channel of channels) {
			subscribers += channel.subscribers;
			this.#givenUp.add(channel);
			this.#hub.close(
				channel,
				() => void sent.push(channel),
				() => {
					left--;
					this.#givenUp.delete(channel);
				},
			);
		}
		const round = this.#closing.ofChannels(sent, () => left === 0, closes.missed);
		// So few do not hurt when they return all at once. A large gap comes in parts.
		const nowMs = performance.now();
		if (nowMs - this.#sinceMs > this.#overMs) {
			this.#sinceMs = nowMs;
			this.#subscribersSince = 0;
		}
		this.#subscribersSince += subscribers;
		void spread(round, subscribers, this.#subscribersSince < closesPerTick ? 0 : this.#overMs);
		return subscribers;
	}

	/** Closes a subscriber of a channel that has been given up, before its turn: a message that it sends now would be lost. */
	closeNow(subscription: Subscription): void {
		if (this.#givenUp.has(subscription.channel)) this.#closing.endSubscription(subscription, closes.missed);
	}
}
