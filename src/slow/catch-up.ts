// Slow subscribers that are catching up: the fan-out does not reach them; they are sent the kept messages as they read.
import { closesPerTick } from '../connections/closing.js';
import type { Channel } from '../pubsub/channel.js';
import type { Close } from '../pubsub/close.js';
import type { Hub } from '../pubsub/hub.js';
import type { Subscription } from '../pubsub/subscription.js';

/** A subscriber that reads has mostly less than this unread, so with less, dropping it or keeping messages for it gains nothing. */
export const readerBytes = 65_536;
// What one subscriber is sent in a tick, so that the others have their turn, and what all together are sent: some milliseconds' work.
const shareBytes = 262_144;
const tickBytes = 4_194_304;
// What it costs to send a message beside its bytes: 16,000 tiny ones take some ten milliseconds too.
const sendOverheadBytes = 256;

export class CatchUp {
	readonly #hub: Hub;
	readonly #unreadBytesMax: number;
	/** Subscribers that have read everything that the engine had for them. */
	readonly #ready = new Set<Subscription>();
	/** Subscribers for which nothing is kept any more. */
	readonly #lost: Subscription[] = [];
	/** Subscribers that are closed when they have caught up. */
	readonly #ending = new Map<Subscription, Close>();
	#isTickScheduled = false;

	constructor(hub: Hub, unreadBytesMax: number) {
		this.#hub = hub;
		this.#unreadBytesMax = unreadBytesMax;
	}

	/** How many bytes wait for a subscriber to read, in the engine and among the kept messages. */
	unreadBytesOf({ peer, channel, position }: Subscription): number {
		const keptBytes = position === undefined ? 0 : (channel.kept?.bytesFor(position) ?? 0);
		return peer.unreadBytes() + keptBytes;
	}

	/** How many bytes closing it frees: its own, and its part of those that other subscribers wait for too. */
	freedBy({ peer, channel, position }: Subscription): number {
		const keptBytes = position === undefined ? 0 : (channel.kept?.partOf(position) ?? 0);
		return peer.unreadBytes() + keptBytes;
	}

	/** Whether it is closed when it has caught up. */
	isEnding(subscription: Subscription): boolean {
		return this.#ending.has(subscription);
	}

	/**
	 * Lets a subscriber that does not read catch up, or drops it if it has too much unread. Until then the engine keeps a copy of each
	 * message for each subscriber, in buffers that double all at once if many subscribers stop together.
	 */
	consider(subscription: Subscription, unreadBytes: number): void {
		if (unreadBytes > this.#unreadBytesMax) subscription.peer.drop('slow');
		else if (unreadBytes >= Math.min(readerBytes, this.#unreadBytesMax / 4)) this.start(subscription);
	}

	/**
	 * Takes the subscribers of a channel that have too much unread out of the fan-out's reach, and tells of each. A subscriber that has not read
	 * enough when the next message comes is dropped. The engine's own limit is off: over it, the engine drops a message and closes later,
	 * and until then a peer that reads gets later messages: on 20.57 any slow one, on 20.30 one that goes on sending.
	 */
	judge(channel: Channel, onSlow: (subscription: Subscription, unreadBytes: number) => void): void {
		for (let subscription = channel.newest; subscription !== undefined; subscription = subscription.older) {
			const unreadBytes = subscription.peer.unreadBytes();
			if (unreadBytes <= this.#unreadBytesMax) continue;
			onSlow(subscription, unreadBytes);
			this.start(subscription);
		}
	}

	/** Takes a subscriber out of the fan-out's reach, unless that has been done, or it is not reached yet. */
	start(subscription: Subscription): void {
		const { peer, channel, isReached } = subscription;
		if (!isReached) return;
		peer.detach(channel.topic);
		this.#hub.startCatchUp(subscription, () => {
			this.#lost.push(subscription);
			this.#scheduleTick();
		});
	}

	/** Hears of every subscriber whose peer has read something that the engine kept for it. */
	onRead(subscription: Subscription): void {
		if (subscription.position === undefined || subscription.peer.unreadBytes() > 0) return;
		this.#ready.add(subscription);
		this.#scheduleTick();
	}

	/**
	 * Closes a subscriber after everything that was published to it. If it is catching up, it has to read that first: giving the engine
	 * everything at once would hold up the loop when many are closed, and fill a buffer for each. Until then it is fed, judged and
	 * counted as before.
	 */
	endOnceRead(subscription: Subscription, close: Close): void {
		if (this.unreadBytesOf(subscription) === subscription.peer.unreadBytes()) {
			this.endAtOnce(subscription, close);
		} else {
			this.#hub.keepNoMoreFor(subscription);
			this.#ending.set(subscription, close);
		}
	}

	/** The same, but the engine gets everything that the subscriber has to read, and the subscriber has left when this returns. */
	endAtOnce(subscription: Subscription, close: Close): void {
		const { peer, position } = subscription;
		// What it has to read is kept no longer, or more than a subscriber may have unread.
		if (position?.isLost || this.unreadBytesOf(subscription) > this.#unreadBytesMax) {
			peer.drop('slow');
			return;
		}
		if (position !== undefined) this.#send(subscription, 'all');
		peer.end(close);
	}

	/** Forgets a subscriber that is about to leave its channel. */
	forget(subscription: Subscription): void {
		this.#ready.delete(subscription);
		this.#ending.delete(subscription);
	}

	#scheduleTick(): void {
		if (this.#isTickScheduled) return;
		this.#isTickScheduled = true;
		setImmediate(this.#tick);
	}

	readonly #tick = (): void => {
		this.#isTickScheduled = false;
		for (const { peer } of this.#lost.splice(0, closesPerTick)) peer.drop('slow');
		let left = tickBytes;
		for (const subscription of [...this.#ready]) {
			if (left <= 0) break;
			// A subscriber that is to have more goes to the end.
			this.#ready.delete(subscription);
			left -= this.#sendShare(subscription);
		}
		if (this.#lost.length + this.#ready.size > 0) this.#scheduleTick();
	};

	/** Sends a subscriber its share of a tick, and gives what that cost, in bytes. */
	#sendShare(subscription: Subscription): number {
		const { peer, channel, position } = subscription;
		if (position === undefined) return 0;
		const costBytes = this.#send(subscription, 'share');
		if (peer.unreadBytes() > 0) return costBytes;
		const close = this.#ending.get(subscription);
		if (this.unreadBytesOf(subscription) > 0) {
			this.#ready.add(subscription);
		} else if (close !== undefined) {
			peer.end(close);
		} else {
			peer.attach(channel.topic);
			this.#hub.caughtUp(subscription);
		}
		return costBytes;
	}

	/** Sends everything, or a share: until the engine has to keep some of it, or it is much. Gives what that cost, in bytes. */
	#send(subscription: Subscription, amount: 'all' | 'share'): number {
		const { peer } = subscription;
		let costBytes = 0;
		peer.gather(() => {
			for (;;) {
				const message = this.#hub.nextFor(subscription);
				if (message === undefined) break;
				const isOut = peer.send(message);
				costBytes += message.bytes.byteLength + sendOverheadBytes;
				if (amount === 'share' && (!isOut || costBytes >= shareBytes)) break;
			}
		});
		return costBytes;
	}
}
