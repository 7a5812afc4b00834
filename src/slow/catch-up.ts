// Slow subscribers that are catching up: the fan-out does not reach them; they are sent the kept messages as they read. A peer catches up on
// all its channels together.
import { closesPerTick } from '../connections/closing.js';
import type { Channel } from '../pubsub/channel.js';
import type { Close } from '../pubsub/close.js';
import type { Hub } from '../pubsub/hub.js';
import type { KeptMessages, Position } from '../pubsub/kept-messages.js';
import type { Peer } from '../pubsub/peer.js';
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
	/** Peers that have read everything that the engine had for them. */
	readonly #ready = new Set<Peer>();
	/** Peers for which nothing is kept any more. */
	readonly #lost: Peer[] = [];
	/** Peers that are closed when they have caught up. */
	readonly #ending = new Map<Peer, Close>();
	#isTickScheduled = false;

	constructor(hub: Hub, unreadBytesMax: number) {
		this.#hub = hub;
		this.#unreadBytesMax = unreadBytesMax;
	}

	/** How many bytes wait for a peer to read, in the engine and among the kept messages. */
	unreadBytesOf(peer: Peer): number {
		return peer.unreadBytes() + sumOverKept(peer, (kept, position) => kept.bytesFor(position));
	}

	/** How many bytes closing it frees: its own, and its part of those that other peers wait for too. */
	freedBy(peer: Peer): number {
		return peer.unreadBytes() + sumOverKept(peer, (kept, position) => kept.partOf(position));
	}

	/** How many peers are closed when they have caught up. */
	get endingCount(): number {
		return this.#ending.size;
	}

	/** Whether it is closed when it has caught up. */
	isEnding(peer: Peer): boolean {
		return this.#ending.has(peer);
	}

	/** The close of a peer that is closed when it has caught up. */
	endingOf(peer: Peer): Close | undefined {
		return this.#ending.get(peer);
	}

	/**
	 * Lets a peer that does not read catch up, or drops it if it has too much unread. Until then the engine keeps a copy of each
	 * message for each subscriber, in buffers that double all at once if many subscribers stop together.
	 */
	consider(peer: Peer, unreadBytes: number): void {
		if (unreadBytes > this.#unreadBytesMax) peer.drop('slow');
		else if (unreadBytes >= Math.min(readerBytes, this.#unreadBytesMax / 4)) this.start(peer);
	}

	/**
	 * Takes the subscribers of a channel that have too much unread out of the fan-out's reach, and tells of each. A subscriber that has not read
	 * enough when the next message comes is dropped. The engine's own limit is off: over it, the engine drops a message and closes later,
	 * and until then a peer that reads gets later messages: on 20.57 any slow one, on 20.30 one that goes on sending.
	 */
	judge(channel: Channel, onSlow: (peer: Peer, unreadBytes: number) => void): void {
		for (let subscription = channel.newest; subscription !== undefined; subscription = subscription.older) {
			const { peer } = subscription;
			const unreadBytes = peer.unreadBytes();
			if (unreadBytes <= this.#unreadBytesMax) continue;
			onSlow(peer, unreadBytes);
			this.start(peer);
		}
	}

	/** Takes the subscriptions of a peer out of the fan-out's reach, unless that has been done, or they are not reached yet. */
	start(peer: Peer): void {
		for (let subscription = peer.subscription; subscription !== undefined; subscription = subscription.sibling) {
			if (!subscription.isReached) continue;
			peer.detach(subscription);
			this.#hub.startCatchUp(subscription, () => {
				this.#lost.push(peer);
				this.#scheduleTick();
			});
		}
	}

	/** Hears of every peer that has read something that the engine kept for it. */
	onRead(peer: Peer): void {
		if (!isCatchingUp(peer) || peer.unreadBytes() > 0) return;
		this.#ready.add(peer);
		this.#scheduleTick();
	}

	/**
	 * Closes a peer after everything that was published to it. If it is catching up, it has to read that first: giving the engine
	 * everything at once would hold up the loop when many are closed, and fill a buffer for each. Until then it is fed, judged and
	 * counted as before.
	 */
	endOnceRead(peer: Peer, close: Close): void {
		if (this.unreadBytesOf(peer) === peer.unreadBytes()) {
			this.endAtOnce(peer, close);
			return;
		}
		this.start(peer);
		for (let subscription = peer.subscription; subscription !== undefined; subscription = subscription.sibling) {
			this.#hub.keepNoMoreFor(subscription);
		}
		this.#ending.set(peer, close);
	}

	/** The same, but the engine gets everything that the peer has to read, and the peer has left its channels when this returns. */
	endAtOnce(peer: Peer, close: Close): void {
		// What it has to read is kept no longer, or more than a subscriber may have unread.
		if (isLost(peer) || this.unreadBytesOf(peer) > this.#unreadBytesMax) {
			peer.drop('slow');
			return;
		}
		if (isCatchingUp(peer)) this.#send(peer, 'all');
		peer.end(close);
	}

	/**
	 * Gives the engine everything that a peer has to read of one channel, which it is about to leave. False if the peer had too much to
	 * read, and was dropped.
	 */
	finish(subscription: Subscription): boolean {
		const { peer, position } = subscription;
		if (position === undefined) return true;
		if (position.isLost || this.unreadBytesOf(peer) > this.#unreadBytesMax) {
			peer.drop('slow');
			return false;
		}
		peer.gather(() => {
			for (let next = this.#hub.nextFor(subscription); next !== undefined; next = this.#hub.nextFor(subscription))
				peer.send(next, subscription);
		});
		return true;
	}

	/** Forgets a peer that is about to leave its channels. */
	forget(peer: Peer): void {
		this.#ready.delete(peer);
		this.#ending.delete(peer);
	}

	#scheduleTick(): void {
		if (this.#isTickScheduled) return;
		this.#isTickScheduled = true;
		setImmediate(this.#tick);
	}

	readonly #tick = (): void => {
		this.#isTickScheduled = false;
		for (const peer of this.#lost.splice(0, closesPerTick)) peer.drop('slow');
		let left = tickBytes;
		for (const peer of [...this.#ready]) {
			if (left <= 0) break;
			// A peer that is to have more goes to the end.
			this.#ready.delete(peer);
			left -= this.#sendShare(peer);
		}
		if (this.#lost.length + this.#ready.size > 0) this.#scheduleTick();
	};

	/** Sends a peer its share of a tick, and gives what that cost, in bytes. */
	#sendShare(peer: Peer): number {
		if (!isCatchingUp(peer)) return 0;
		const costBytes = this.#send(peer, 'share');
		if (peer.unreadBytes() > 0) return costBytes;
		const close = this.#ending.get(peer);
		if (this.unreadBytesOf(peer) > 0) this.#ready.add(peer);
		else if (close !== undefined) peer.end(close);
		else this.#caughtUp(peer);
		return costBytes;
	}

	#caughtUp(peer: Peer): void {
		for (let subscription = peer.subscription; subscription !== undefined; subscription = subscription.sibling) {
			if (subscription.position === undefined) continue;
			peer.attach(subscription);
			this.#hub.caughtUp(subscription);
		}
		peer.caughtUp();
	}

	/** Sends everything, or a share: until the engine has to keep some of it, or it is much. Gives what that cost, in bytes. */
	#send(peer: Peer, amount: 'all' | 'share'): number {
		let costBytes = 0;
		peer.gather(() => {
			for (let subscription = peer.subscription; subscription !== undefined; subscription = subscription.sibling) {
				for (;;) {
					const message = this.#hub.nextFor(subscription);
					if (message === undefined) break;
					const isOut = peer.send(message, subscription);
					costBytes += message.bytes.byteLength + sendOverheadBytes;
					if (amount === 'share' && (!isOut || costBytes >= shareBytes)) return;
				}
			}
		});
		return costBytes;
	}
}

/** Adds up what is kept for a peer on its channels. */
function sumOverKept(peer: Peer, bytesOf: (kept: KeptMessages, position: Position) => number): number {
	let bytes = 0;
	for (let subscription = peer.subscription; subscription !== undefined; subscription = subscription.sibling) {
		const { channel, position } = subscription;
		if (position !== undefined && channel.kept !== undefined) bytes += bytesOf(channel.kept, position);
	}
	return bytes;
}

/** Whether a peer is catching up: the fan-out does not reach it on some of its channels. */
export function isCatchingUp(peer: Peer): boolean {
	for (let subscription = peer.subscription; subscription !== undefined; subscription = subscription.sibling) {
		if (subscription.position !== undefined) return true;
	}
	return false;
}

/** Whether something that it has to read is kept no longer. */
function isLost(peer: Peer): boolean {
	for (let subscription = peer.subscription; subscription !== undefined; subscription = subscription.sibling) {
		if (subscription.position?.isLost) return true;
	}
	return false;
}
