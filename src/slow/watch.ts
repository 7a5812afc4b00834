// Finds the subscribers that do not keep up, by looking at a few of them at a time, and those of them that have come to a stop.

import { type Log, rateLimited } from '../observe/log.js';
import type { Channel } from '../pubsub/channel.js';
import type { Places } from '../pubsub/places.js';

export type Lag = {
	/** What waits for it, when last looked at. */
	backlogBytes: number;
	/** When that was last seen to shrink, or first seen. */
	shrunkMs: number;
	/** Whose it is, for the log. */
	readonly ip: string;
};

export type LaggardParts<Peer> = {
	readonly addressOf: (peer: Peer) => string;
	/** How many bytes wait for it. */
	readonly backlogOf: (peer: Peer) => number;
	/** How much memory its close gives back: others may wait for the same bytes. */
	readonly freedBy: (peer: Peer) => number;
	/** How long a backlog may take to shrink; 0 for ever. */
	readonly stallMsMax: number;
	/** Closes one that has taken longer. */
	readonly onStalled: (peer: Peer) => void;
	/** Hears at every look of every other one whose backlog is no less than at the look before. */
	readonly onStanding: (peer: Peer, backlogBytes: number) => void;
};

// To be looked at every 100 ms: 10,000 of all in a second and 10,000 of those that lag, about two milliseconds' work.
export const lookMs = 100;
const looksMax = 1_000;
// Places of some who have gone cost next to nothing.
const placesMax = 10 * looksMax;
// Who has less, mostly a reader on its way, would go for nothing.
const backlogBytesWorthFreeing = 65_536;
// Closing takes some 10 µs each.
const closesMax = 200;
// What we ourselves were held up is not held against the subscribers.
const heldUpMsMax = 10 * lookMs;

export class Laggards<Peer extends object> {
	readonly #peers: Places<Peer>;
	readonly #parts: LaggardParts<Peer>;
	readonly #lags = new Map<Peer, Lag>();
	#place = 0;
	// A Map goes on with a round where it was, whatever comes and goes meanwhile.
	#lagRound: Iterator<Peer>;
	#lookedMs: number | undefined;
	#clockMs = 0;
	#closes = 0;

	/** `peers` are all that are open, and change as they come and go. */
	constructor(peers: Places<Peer>, parts: LaggardParts<Peer>) {
		this.#peers = peers;
		this.#parts = parts;
		this.#lagRound = this.#lags.keys();
	}

	/** How many lagged when last looked at. */
	get count(): number {
		return this.#lags.size;
	}

	/** Looks at the next of those who lag, and the next of all. */
	look(nowMs: number): void {
		this.#clockMs += Math.min(nowMs - (this.#lookedMs ?? nowMs), heldUpMsMax);
		this.#lookedMs = nowMs;
		this.#closes = 0;
		this.#lookAtLagging();
		this.#lookAtAll();
	}

	/** Those with the largest backlogs, until their close frees so many bytes: whom to close when memory is short. */
	largest(bytes: number): Peer[] {
		const worth = [...this.#lags].filter(([, { backlogBytes }]) => backlogBytes >= backlogBytesWorthFreeing);
		worth.sort(([, one], [, other]) => other.backlogBytes - one.backlogBytes);
		const largest: Peer[] = [];
		let left = bytes;
		for (const [peer] of worth.slice(0, closesMax)) {
			if (left <= 0) break;
			left -= this.#parts.freedBy(peer);
			largest.push(peer);
		}
		return largest;
	}

	/** Notes what is known of one from elsewhere. */
	note(peer: Peer, backlogBytes: number): Lag {
		const lag = this.#lags.get(peer);
		if (lag === undefined) {
			const first = { backlogBytes, shrunkMs: this.#clockMs, ip: this.#parts.addressOf(peer) };
			this.#lags.set(peer, first);
			return first;
		}
		if (backlogBytes < lag.backlogBytes) lag.shrunkMs = this.#clockMs;
		lag.backlogBytes = backlogBytes;
		return lag;
	}

	/** Forgets one that has closed, and tells how far it lagged, if it did. */
	forget(peer: Peer): Lag | undefined {
		const lag = this.#lags.get(peer);
		this.#lags.delete(peer);
		return lag;
	}

	#lookAtLagging(): void {
		for (let looks = 0; looks < looksMax && this.#closes < closesMax; looks++) {
			const { done, value: peer } = this.#lagRound.next();
			if (done) {
				this.#lagRound = this.#lags.keys();
				if (looks === 0 && this.#lags.size > 0) continue;
				return;
			}
			this.#lookAt(peer);
		}
	}

	#lookAtAll(): void {
		let looks = 0;
		const next = this.#peers.visit(this.#place, placesMax, (peer) => {
			// Those who lag have their own turn.
			if (!this.#lags.has(peer)) this.#lookAt(peer);
			return ++looks === looksMax ? 'enough' : 'more';
		});
		this.#place = next ?? 0;
	}

	#lookAt(peer: Peer): void {
		const { stallMsMax, backlogOf, onStalled, onStanding } = this.#parts;
		const backlogBytes = backlogOf(peer);
		if (backlogBytes === 0) {
			this.#lags.delete(peer);
			return;
		}
		const isStanding = backlogBytes >= (this.#lags.get(peer)?.backlogBytes ?? Number.POSITIVE_INFINITY);
		const { shrunkMs } = this.note(peer, backlogBytes);
		if (stallMsMax > 0 && this.#clockMs - shrunkMs >= stallMsMax) onStalled(peer);
		else if (isStanding) onStanding(peer, backlogBytes);
		if (!this.#lags.has(peer)) this.#closes++;
	}
}

/** Logs who was disconnected for lagging, and by what. */
export function laggardLog(log: Log): (channel: Channel, lag: Lag, cause: string) => void {
	return rateLimited(1_000, (leftOut: number, { name, subscribers }: Channel, { ip, backlogBytes }: Lag, cause: string) =>
		log.info(
			{ event: 'slow', path: name, ip, reason: cause, backlog: backlogBytes, subscribers, leftOut },
			'a subscriber did not keep up and was disconnected',
		),
	);
}
