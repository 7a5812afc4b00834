// The messages of each channel in one order, and when they go out: at once, at the end of the tick, or in shares of several ticks.
// Knows no names and no network: the fan-out is handed to it.
import { type Channel, newOutbox, type Outbox } from './channel.js';
import { copyOf, type Message, trustedMessage } from './message.js';

/** Hands a message to every present subscriber of the channel: one call, whatever their number. */
export type FanOut = (topic: string, message: Message) => void;

/** Looks at the backlog of each subscriber of a channel, and takes those that are over the limit out of the fan-out's reach. */
export type Judge = (channel: Channel) => void;

// At the 32nd message queued for one subscriber in one tick the engine flushes at once, and inside a handler that is one
// system call per message: a factor of 6 to 12 under bursts on uWebSockets.js 20.30, 4 to 9 on 20.57. Outside, one call takes
// many messages. Thirty stay below it; deferring every message would cost small channels a third, limits of 1 to 4 a half.
const directPerTickMax = 30;

// What a message costs beside its bytes, so that a flood of tiny ones is paced too.
const messageOverheadBytes = 64;
// About a twentieth of a second's work for the engine, so that no channel holds up the others for longer. Up to twice as much, if that
// makes whole batches of the engine's: shares of 20 messages to 10,000 subscribers cost twice as much as shares of 32.
const deliveriesPerTickMax = 200_000;
const engineBatchMessages = 32;

// After its share a channel rests, so that readers in other processes get to run: without it, the 16 x 16 x 64 KiB burst cut
// readers in 9 runs of 10, with 10 ms in 1 of 10. By default a channel then sends each subscriber 100 MB/s at the most.
const restMs = 10;

export class Sender {
	readonly #fanOut: FanOut;
	readonly #judge: Judge;
	readonly #directPerTickMax: number;
	/** What one channel may send in one tick, so that a reader gets to read before its backlog is judged. */
	readonly #shareBytes: number;
	/** Beyond this a channel's burst goes out all the same: it would fill our memory instead of its readers' backlog. */
	readonly #deferredBytesMax: number;
	/** Channels with deferred messages: those that send at the end of this tick, and those that rest. */
	#deferring = new Set<Channel>();
	readonly #resting = new Set<Channel>();
	#tick = 0;
	#isTickEndScheduled = false;
	#deliveries = 0;
	#deliveredBytes = 0;
	#deferredBytes = 0;

	/**
	 * `backlogBytesMax` is how far a subscriber may lag behind. It is judged before each share of a quarter of that, so that nobody
	 * has more unread than that and a share. `directMax` is how many messages a tick a channel publishes at once, before it defers:
	 * 0 for all deferred.
	 */
	constructor(fanOut: FanOut, judge: Judge, backlogBytesMax: number, directMax = directPerTickMax) {
		this.#fanOut = fanOut;
		this.#judge = judge;
		this.#directPerTickMax = directMax;
		this.#shareBytes = backlogBytesMax / 4;
		this.#deferredBytesMax = backlogBytesMax * 4;
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
	 * Puts the message into the channel's order. It goes out at once, or at the end of this tick, or, if much does, of the next ones.
	 * `isEcho` is a message whose only subscriber is its sender: while the engine reads a socket it gathers what goes to it, so that
	 * nothing is gained by deferring.
	 */
	publish(channel: Channel, message: Message, isEcho: boolean): void {
		channel.outbox ??= newOutbox();
		const { outbox } = channel;
		this.#beginTick(outbox);
		outbox.messagesInTick++;
		const isGathered = isEcho && this.#directPerTickMax > 0;
		const isBurst = !isGathered && (outbox.isHot || outbox.messagesInTick > this.#directPerTickMax);
		if (isBurst || this.#hasSentItsShare(outbox, channel.admitted) || outbox.deferred.length > 0)
			this.#defer(channel, outbox, message);
		else this.#deliver(channel, outbox, message);
	}

	/** Counts a delivery to one whom the fan-out does not reach. */
	countDelivery({ bytes }: Message): void {
		this.#deliveries++;
		this.#deliveredBytes += bytes.byteLength;
	}

	/** Does something to a channel's subscribers after all that is published so far, and before all that comes. */
	inOrder({ outbox }: Channel, action: () => void): void {
		if (outbox === undefined || outbox.deferred.length === 0) action();
		else outbox.deferred.push(action);
	}

	/** Drops what nobody is left to hear. */
	forget({ outbox }: Channel): void {
		if (outbox === undefined) return;
		outbox.deferred = [];
		this.#countDeferred(outbox, -outbox.deferredBytes);
	}

	/** Sends all that is deferred, whatever it does to slow readers. */
	flush(): void {
		for (const channel of [...this.#deferring, ...this.#resting]) {
			if (channel.outbox !== undefined) this.#sendDeferred(channel, channel.outbox, false);
		}
	}

	#beginTick(outbox: Outbox): void {
		if (outbox.tick === this.#tick) return;
		// A tick that only sends what was deferred tells nothing.
		if (outbox.messagesInTick > 0) outbox.isHot = outbox.messagesInTick > this.#directPerTickMax;
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
			// Its readers are not the limit, only the others' patience.
			this.#deferring.add(channel);
			this.#scheduleTickEnd();
			return;
		}
		if (this.#resting.size === 0) setTimeout(this.#endRest, restMs);
		this.#resting.add(channel);
	}

	#defer(channel: Channel, outbox: Outbox, message: Message): void {
		if (!this.#resting.has(channel)) this.#deferring.add(channel);
		outbox.deferred.push(trustedMessage(copyOf(message.bytes), message.isBinary));
		this.#countDeferred(outbox, message.bytes.byteLength + messageOverheadBytes);
	}

	#countDeferred(outbox: Outbox, bytes: number): void {
		outbox.deferredBytes += bytes;
		this.#deferredBytes += bytes;
	}

	#hasSentItsShare({ bytesInTick, sentInTick }: Outbox, subscribers: number): boolean {
		const deliveries = sentInTick * subscribers;
		if (bytesInTick >= this.#shareBytes || deliveries >= 2 * deliveriesPerTickMax) return true;
		return deliveries >= deliveriesPerTickMax && sentInTick % engineBatchMessages === 0;
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
			if (mayWait && this.#hasSentItsShare(outbox, channel.admitted)) break;
			sent++;
			if (typeof next === 'function') {
				next();
			} else {
				this.#countDeferred(outbox, -(next.bytes.byteLength + messageOverheadBytes));
				this.#deliver(channel, outbox, next);
			}
		}
		outbox.deferred = outbox.deferred.slice(sent);
	}

	#deliver(channel: Channel, outbox: Outbox, message: Message): void {
		const bytes = message.bytes.byteLength + messageOverheadBytes;
		outbox.unjudgedBytes += bytes;
		if (outbox.unjudgedBytes > this.#shareBytes) {
			outbox.unjudgedBytes = bytes;
			this.#judge(channel);
		}
		outbox.bytesInTick += bytes;
		outbox.sentInTick++;
		this.#deliveries += channel.admitted;
		this.#deliveredBytes += channel.admitted * message.bytes.byteLength;
		channel.backlog?.add(message);
		this.#fanOut(channel.topic, message);
	}
}
