// Channels from their first subscriber to their last, the order of their messages, and when these go out.
// Knows no network: the fan-out is handed to it.
import type { ChannelName } from './channel-name.js';
import { type Message, trustedMessage } from './message.js';

/** A channel with at least one subscriber. Only the hub changes it. */
export type Channel = {
	readonly name: ChannelName;
	subscribers: number;
	/** The last tick in which something was published here, and how many messages in that tick. */
	tick: number;
	publishedInTick: number;
	/** Whether the tick before that one was a burst. */
	isHot: boolean;
	/** The rest of this tick's burst, in order. */
	deferred: Message[];
};

/** Hands a message to every present subscriber of the channel: one call, whatever their number. */
export type FanOut = (channel: ChannelName, message: Message) => void;

// At the 32nd message queued for one subscriber in one tick the engine flushes at once, and inside a handler that is
// one system call per message (shared/ENGINE.md, "Bursts"). Thirty stay below it; deferring all costs small channels a third.
const directPerTickMax = 30;

export class Hub {
	readonly #fanOut: FanOut;
	readonly #channels = new Map<ChannelName, Channel>();
	#deferring: Channel[] = [];
	#tick = 0;
	#isTickEndScheduled = false;
	#subscribers = 0;
	#deliveries = 0;
	readonly #endTick = () => {
		this.#isTickEndScheduled = false;
		this.#tick++;
		this.flush();
	};

	constructor(fanOut: FanOut) {
		this.#fanOut = fanOut;
	}

	get channels(): number {
		return this.#channels.size;
	}

	get subscribers(): number {
		return this.#subscribers;
	}

	/** Messages handed to subscribers: a message to three subscribers is three deliveries. */
	get deliveries(): number {
		return this.#deliveries;
	}

	/** The channel of that name, if anybody is subscribed to it. */
	find(name: ChannelName): Channel | undefined {
		return this.#channels.get(name);
	}

	/** Counts a subscriber in, before the fan-out reaches it. It sees what is published from now on, and nothing earlier. */
	join(name: ChannelName): Channel {
		let channel = this.#channels.get(name);
		if (channel === undefined) {
			channel = { name, subscribers: 0, tick: -2, publishedInTick: 0, isHot: false, deferred: [] };
			this.#channels.set(name, channel);
		} else {
			this.flushChannel(channel);
		}
		channel.subscribers++;
		this.#subscribers++;
		return channel;
	}

	/** Counts a subscriber out. With the last one the channel is gone, and with it what nobody is left to hear. */
	leave(channel: Channel): void {
		this.#subscribers--;
		if (--channel.subscribers > 0) return;
		channel.deferred = [];
		this.#channels.delete(channel.name);
	}

	/** Puts the message into the channel's order. It goes out at once, or after the burst that it belongs to, within this tick. */
	publish(channel: Channel, message: Message): void {
		if (channel.tick !== this.#tick) {
			channel.isHot = channel.tick === this.#tick - 1 && channel.publishedInTick > directPerTickMax;
			channel.tick = this.#tick;
			channel.publishedInTick = 0;
			this.#scheduleTickEnd();
		}
		if (++channel.publishedInTick > directPerTickMax || channel.isHot) this.#defer(channel, message);
		else this.#deliver(channel, message);
	}

	/** Sends what is deferred on one channel: whatever happens next to its subscribers comes after that. */
	flushChannel(channel: Channel): void {
		if (channel.deferred.length === 0) return;
		const messages = channel.deferred;
		channel.deferred = [];
		for (const message of messages) this.#deliver(channel, message);
	}

	/** Sends all that is deferred. */
	flush(): void {
		if (this.#deferring.length === 0) return;
		const channels = this.#deferring;
		this.#deferring = [];
		for (const channel of channels) this.flushChannel(channel);
	}

	#scheduleTickEnd(): void {
		if (this.#isTickEndScheduled) return;
		this.#isTickEndScheduled = true;
		setImmediate(this.#endTick);
	}

	#defer(channel: Channel, message: Message): void {
		if (channel.deferred.length === 0) this.#deferring.push(channel);
		// Copied, because the engine takes the bytes back when the handler returns.
		channel.deferred.push(trustedMessage(copyOf(message.bytes), message.isBinary));
	}

	#deliver(channel: Channel, message: Message): void {
		this.#deliveries += channel.subscribers;
		this.#fanOut(channel.name, message);
	}
}

function copyOf(bytes: ArrayBuffer | Uint8Array): Uint8Array {
	return Buffer.from(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes);
}
