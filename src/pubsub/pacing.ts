// When the messages of a channel go out, in their order: at once, at the end of the tick, or in shares of several ticks.
// Knows no names and no network: the fan-out and the limits are passed in. In one file, as each line depends on the order of the others.
import { type Channel, newOutbox, type Outbox } from './channel.js';
import { keptMessage, type Message, messageOverheadBytes } from './message.js';

/** Hands a message to every subscriber that is attached to the topic: one call, whatever their number. */
export type FanOut = (topic: string, message: Message) => void;

/** Looks at what each subscriber of a channel has unread, and takes those over the limit out of the fan-out's reach. */
export type Judge = (channel: Channel) => void;

/** What the fan-out and its readers can bear. */
export type PacingLimits = {
	/** How many messages a channel sends at once in one tick, before it defers: 0 to defer all. */
	readonly directPerTickMax: number;
	/** How many messages to a subscriber the fan-out writes with one system call at the most. */
	readonly batchMessages: number;
	/** How many deliveries a channel makes in one tick, so that no channel delays the others for longer. */
	readonly deliveriesPerTickMax: number;
	/** How many bytes a subscriber may have unread. */
	readonly unreadBytesMax: number;
	/** How long a channel rests after its share, so that readers in other processes get to run. */
	readonly restMs: number;
};

export class Pacing {
	readonly #fanOut: FanOut;
	readonly #judge: Judge;
	readonly #limits: PacingLimits;
	/** What one channel may send in one tick, so that a reader gets to read before it is judged. */
	readonly #shareBytes: number;
	/** Beyond this a channel's burst goes out without a rest: it would fill the server's memory. */
	readonly #deferredBytesMax: number;
	/** Channels with deferred messages: those that send at the end of this tick, and those that rest. */
	#deferring = new Set<Channel>();
	readonly #resting = new Set<Channel>();
	/**
	 * The bursts of all grouped channels together, as an outbox has those of one channel. One connection may get the messages of all: from
	 * the 32nd in a tick on, the engine would send each by itself.
	 */
	readonly #groupedBurst = { tick: -1, messagesInTick: 0, isHot: false };
	#tick = 0;
	#isTickEndScheduled = false;
	#deliveries = 0;
	#deliveredBytes = 0;
	#deferredBytes = 0;

	/** A subscriber is judged before each share of a quarter of `unreadBytesMax`, so it has at most that and a share unread. */
	constructor(fanOut: FanOut, judge: Judge, limits: PacingLimits) {
		this.#fanOut = fanOut;
		this.#judge = judge;
		this.#limits = limits;
		this.#shareBytes = limits.unreadBytesMax / 4;
		this.#deferredBytesMax = limits.unreadBytesMax * 4;
	}

	/** Messages handed to subscribers: a message to three subscribers is three deliveries. */
	get deliveries(): number {
		return this.#deliveries;
	}

	get deliveredBytes(): number {
		return this.#deliveredBytes;
	}

	/** What has not gone out yet, over all channels. Each message counts 64 bytes beside its own. */
	get deferredBytes(): number {
		return this.#deferredBytes;
	}

	/**
	 * Sends a message at once, or at the end of this tick, or, if the channel sends much, in the next ticks. `isGathered` says that the
	 * fan-out gathers this message with others by itself, so that nothing is gained by deferring it.
	 */
	deliver(channel: Channel, message: Message, isGathered: boolean): void {
		channel.outbox ??= newOutbox();
		const { outbox } = channel;
		this.#beginTick(outbox);
		outbox.messagesInTick++;
		const { directPerTickMax } = this.#limits;
		const isDirect = isGathered && directPerTickMax > 0;
		const isGroupedBurst = channel.grouped > 0 && this.#isGroupedBurst();
		const isBurst = !isDirect && (outbox.isHot || outbox.messagesInTick > directPerTickMax || isGroupedBurst);
		if (isBurst || this.#hasSentItsShare(outbox, channel.reached) || outbox.deferred.length > 0)
			this.#defer(channel, outbox, message);
		else this.#send(channel, outbox, message);
	}

	/** Counts a message on a grouped channel, and gives whether these channels together have a burst. */
	#isGroupedBurst(): boolean {
		const burst = this.#groupedBurst;
		const { directPerTickMax } = this.#limits;
		if (burst.tick !== this.#tick) {
			burst.tick = this.#tick;
			burst.isHot = burst.messagesInTick > directPerTickMax;
			burst.messagesInTick = 0;
		}
		return ++burst.messagesInTick > directPerTickMax || burst.isHot;
	}

	/** Counts a delivery to a subscriber that the fan-out does not reach. */
	countDelivery({ bytes }: Message): void {
		this.#deliveries++;
		this.#deliveredBytes += bytes.byteLength;
	}

	/** Does something to a channel's subscribers after all that is published so far, and before all that comes. */
	inOrder({ outbox }: Channel, action: () => void): void {
		if (outbox === undefined || outbox.deferred.length === 0) action();
		else outbox.deferred.push(action);
	}

	/** Drops what no subscriber is left to receive. */
	forget({ outbox }: Channel): void {
		if (outbox === undefined) return;
		outbox.deferred = [];
		this.#countDeferred(outbox, -outbox.deferredBytes);
	}

	/** Sends all that is deferred, without a rest. */
	flushAll(): void {
		for (const channel of [...this.#deferring, ...this.#resting]) this.flush(channel);
	}

	/** The same for one channel. */
	flush(channel: Channel): void {
		if (channel.outbox !== undefined) this.#sendDeferred(channel, channel.outbox, false);
	}

	#beginTick(outbox: Outbox): void {
		if (outbox.tick === this.#tick) return;
		// A tick that only sends deferred messages says nothing about bursts.
		if (outbox.messagesInTick > 0) outbox.isHot = outbox.messagesInTick > this.#limits.directPerTickMax;
		outbox.tick = this.#tick;
		outbox.messagesInTick = 0;
		outbox.bytesInTick = 0;
		outbox.sentInTick = 0;
		this.#scheduleTickEnd();
	}

	#scheduleTickEnd(): void {
		if (this.#isTickEndScheduled) return;
		this.#isTickEndScheduled = true;
		setImmediate(this.#endTick);
	}

	readonly #endTick = (): void => {
		this.#isTickEndScheduled = false;
		const sending = this.#deferring;
		this.#deferring = new Set();
		for (const channel of sending) this.#sendShare(channel);
		this.#tick++;
	};

	readonly #endRest = (): void => {
		const rested = [...this.#resting];
		this.#resting.clear();
		this.#tick++;
		for (const channel of rested) this.#sendShare(channel);
	};

	#sendShare(channel: Channel): void {
		const { outbox } = channel;
		if (outbox === undefined) return;
		this.#sendDeferred(channel, outbox, true);
		if (outbox.deferred.length === 0) return;
		if (outbox.bytesInTick < this.#shareBytes) {
			// Its readers have room: the channel only lets other channels have their turn.
			this.#deferring.add(channel);
			this.#scheduleTickEnd();
			return;
		}
		if (this.#resting.size === 0) setTimeout(this.#endRest, this.#limits.restMs);
		this.#resting.add(channel);
	}

	#defer(channel: Channel, outbox: Outbox, message: Message): void {
		if (!this.#resting.has(channel)) this.#deferring.add(channel);
		outbox.deferred.push(keptMessage(message));
		this.#countDeferred(outbox, message.bytes.byteLength + messageOverheadBytes);
	}

	#countDeferred(outbox: Outbox, bytes: number): void {
		outbox.deferredBytes += bytes;
		this.#deferredBytes += bytes;
	}

	// Up to twice as many deliveries, if that makes whole batches: shares of 20 messages to 10,000 subscribers cost twice as much as
	// shares of 32.
	#hasSentItsShare({ bytesInTick, sentInTick }: Outbox, subscribers: number): boolean {
		const { deliveriesPerTickMax, batchMessages } = this.#limits;
		const deliveries = sentInTick * subscribers;
		if (bytesInTick >= this.#shareBytes || deliveries >= 2 * deliveriesPerTickMax) return true;
		return deliveries >= deliveriesPerTickMax && sentInTick % batchMessages === 0;
	}

	/** Sends what is deferred: the channel's share of this tick if it is paced, else all of it. */
	#sendDeferred(channel: Channel, outbox: Outbox, isPaced: boolean): void {
		if (outbox.deferred.length === 0) return;
		this.#beginTick(outbox);
		let sent = 0;
		for (const next of outbox.deferred) {
			// The last subscriber may go while we send.
			if (channel.subscribers === 0) return;
			const mayWait = isPaced && outbox.deferredBytes <= this.#deferredBytesMax;
			if (mayWait && this.#hasSentItsShare(outbox, channel.reached)) break;
			sent++;
			if (typeof next === 'function') {
				next();
			} else {
				this.#countDeferred(outbox, -(next.bytes.byteLength + messageOverheadBytes));
				this.#send(channel, outbox, next);
			}
		}
		outbox.deferred = outbox.deferred.slice(sent);
	}

	#send(channel: Channel, outbox: Outbox, message: Message): void {
		const bytes = message.bytes.byteLength + messageOverheadBytes;
		outbox.unjudgedBytes += bytes;
		if (outbox.unjudgedBytes > this.#shareBytes) {
			outbox.unjudgedBytes = bytes;
			this.#judge(channel);
		}
		outbox.bytesInTick += bytes;
		outbox.sentInTick++;
		this.#deliveries += channel.reached;
		this.#deliveredBytes += channel.reached * message.bytes.byteLength;
		channel.kept?.add(message);
		this.#fanOut(channel.topic, message);
	}
}
