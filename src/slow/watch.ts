// Finds slow subscribers, by looking at a few connections at a time, and drops those that have stopped reading.
import { closesPerTick } from '../connections/closing.js';
import type { Connections } from '../connections/registry.js';
import type { Channel } from '../pubsub/channel.js';
import type { Peer } from '../pubsub/peer.js';
import { type CatchUp, readerBytes } from './catch-up.js';

/** What is known of a subscriber that has something unread. */
export type Slowness = {
	/** How much, when last looked at. */
	unreadBytes: number;
	/** When that was last seen to shrink, or first seen, by the watch's clock. */
	shrunkMs: number;
	/** The client's address, for the log. */
	readonly ip: string;
};

export type SlowWatchParts = {
	readonly catchUp: Pick<CatchUp, 'unreadBytesOf' | 'freedBy' | 'consider' | 'judge'>;
	/** How long a subscriber may read nothing of what waits for it; 0 for ever. */
	readonly writeTimeoutMs: number;
};

// To be looked at every 100 ms: 10,000 of all in a second and 10,000 of the slow ones, about two milliseconds' work.
export const lookMs = 100;
const looksMax = 1_000;
// Places without a connection cost next to nothing.
const placesMax = 10 * looksMax;
// The time in which the loop itself was held up does not count against the subscribers.
const heldUpMsMax = 10 * lookMs;

export class SlowWatch {
	readonly #connections: Connections;
	readonly #parts: SlowWatchParts;
	readonly #slow = new Map<Peer, Slowness>();
	#place = 0;
	// An iterator of a Map goes on where it was, whatever comes and goes meanwhile.
	#slowRound: Iterator<Peer>;
	#lookedMs: number | undefined;
	#clockMs = 0;
	#drops = 0;

	constructor(connections: Connections, parts: SlowWatchParts) {
		this.#connections = connections;
		this.#parts = parts;
		this.#slowRound = this.#slow.keys();
	}

	/** How many subscribers had something unread when last looked at. */
	get count(): number {
		return this.#slow.size;
	}

	/** Looks at the next of the slow subscribers, and at the next of all. */
	look(nowMs: number): void {
		this.#clockMs += Math.min(nowMs - (this.#lookedMs ?? nowMs), heldUpMsMax);
		this.#lookedMs = nowMs;
		this.#drops = 0;
		this.#lookAtSlow();
		this.#lookAtAll();
	}

	/** Judges the subscribers of a channel before its next share: see CatchUp.judge. */
	judge(channel: Channel): void {
		this.#parts.catchUp.judge(channel, (peer, unreadBytes) => this.note(peer, unreadBytes));
	}

	/** The subscribers with the most unread, until dropping them frees so many bytes. */
	largest(bytes: number): Peer[] {
		const worth = [...this.#slow].filter(([, { unreadBytes }]) => unreadBytes >= readerBytes);
		worth.sort(([, one], [, other]) => other.unreadBytes - one.unreadBytes);
		const largest: Peer[] = [];
		let left = bytes;
		for (const [peer] of worth.slice(0, closesPerTick)) {
			if (left <= 0) break;
			left -= this.#parts.catchUp.freedBy(peer);
			largest.push(peer);
		}
		return largest;
	}

	/** Notes what a subscriber is known to have unread. */
	note(peer: Peer, unreadBytes: number): Slowness {
		const slowness = this.#slow.get(peer);
		if (slowness === undefined) {
			const first = { unreadBytes, shrunkMs: this.#clockMs, ip: peer.address() };
			this.#slow.set(peer, first);
			return first;
		}
		if (unreadBytes < slowness.unreadBytes) slowness.shrunkMs = this.#clockMs;
		slowness.unreadBytes = unreadBytes;
		return slowness;
	}

	/** Forgets a subscriber that has closed, and gives what was known of it, if it was slow. */
	forget(peer: Peer): Slowness | undefined {
		const slowness = this.#slow.get(peer);
		this.#slow.delete(peer);
		return slowness;
	}

	#lookAtSlow(): void {
		for (let looks = 0; looks < looksMax && this.#drops < closesPerTick; looks++) {
			const { done, value: peer } = this.#slowRound.next();
			if (done) {
				this.#slowRound = this.#slow.keys();
				if (looks === 0 && this.#slow.size > 0) continue;
				return;
			}
			this.#lookAt(peer);
		}
	}

	#lookAtAll(): void {
		let looks = 0;
		const next = this.#connections.visit(this.#place, placesMax, (connection) => {
			// The slow ones have their own turn.
			if (!this.#slow.has(connection)) this.#lookAt(connection);
			return ++looks === looksMax ? 'enough' : 'more';
		});
		this.#place = next ?? 0;
	}

	#lookAt(peer: Peer): void {
		const { catchUp, writeTimeoutMs } = this.#parts;
		const unreadBytes = catchUp.unreadBytesOf(peer);
		if (unreadBytes === 0) {
			this.#slow.delete(peer);
			return;
		}
		const readsNothing = unreadBytes >= (this.#slow.get(peer)?.unreadBytes ?? Number.POSITIVE_INFINITY);
		const { shrunkMs } = this.note(peer, unreadBytes);
		if (writeTimeoutMs > 0 && this.#clockMs - shrunkMs >= writeTimeoutMs) peer.drop('slow');
		else if (readsNothing) catchUp.consider(peer, unreadBytes);
		if (!this.#slow.has(peer)) this.#drops++;
	}
}
