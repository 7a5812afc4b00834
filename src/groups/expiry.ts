// Finds the subscriptions of one connection whose grants have expired: one timer, whatever their number.
import type { Grant } from '../connections/connection.js';
import type { Hub } from '../pubsub/hub.js';
import type { Subscription } from '../pubsub/subscription.js';

/** A subscription, and what the connection may do on its channel. */
export type GrantedSubscription = { readonly subscription: Subscription; readonly grant: Grant };

// The longest delay of a Node timer.
const timerMsMax = 2 ** 31 - 1;
// The paths of one change get their answers within some milliseconds, and expire so. The client is told of all of them once.
const gatherMs = 100;

export class Expiry {
	readonly #hub: Hub;
	readonly #granted: () => Iterable<GrantedSubscription>;
	readonly #onExpired: (subscriptions: readonly Subscription[]) => void;
	#timer: NodeJS.Timeout | undefined;

	/** `onExpired` hears of subscriptions when their channels have sent everything that was published before. */
	constructor(
		hub: Hub,
		granted: () => Iterable<GrantedSubscription>,
		onExpired: (subscriptions: readonly Subscription[]) => void,
	) {
		this.#hub = hub;
		this.#granted = granted;
		this.#onExpired = onExpired;
	}

	/** Tells of the subscriptions that have expired, and runs again when the next one expires. To be called after each change, too. */
	run(): void {
		const nowMs = performance.now();
		const expired: Subscription[] = [];
		let nextMs = Number.POSITIVE_INFINITY;
		for (const { subscription, grant } of this.#granted()) {
			if (grant.expiry === undefined) continue;
			if (grant.expiry.atMs <= nowMs) expired.push(subscription);
			else nextMs = Math.min(nextMs, grant.expiry.atMs);
		}
		// The timer comes first: the connection may close below, and then stops it.
		this.stop();
		if (nextMs < Number.POSITIVE_INFINITY)
			this.#timer = setTimeout(() => this.run(), Math.min(Math.ceil(nextMs - nowMs) + gatherMs, timerMsMax)).unref();
		this.#end(expired);
	}

	stop(): void {
		clearTimeout(this.#timer);
	}

	/** Subscriptions whose channels have nothing to send end together, so that the client is told once. */
	#end(expired: readonly Subscription[]): void {
		const atOnce: Subscription[] = [];
		let isLater = false;
		for (const subscription of expired) {
			this.#hub.inOrder(subscription.channel, () => {
				if (isLater) this.#onExpired([subscription]);
				else atOnce.push(subscription);
			});
		}
		isLater = true;
		if (atOnce.length > 0) this.#onExpired(atOnce);
	}
}
