// Shares the channels with other servers over Redis or Valkey. A message goes there, and is delivered when it comes back, so that all
// servers deliver the messages of a channel in the order of one process. A channel that may have missed a message is given up: its
// subscribers are closed.
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import { type Message, messageOverheadBytes } from '../pubsub/message.js';
import type { OrderFailure, Published, SharedOrder } from '../pubsub/order.js';
import { slotOf } from './cluster.js';
import { RelayRefused } from './handshake.js';
import type { Answer, Link } from './link.js';
import { closePayload, payloadOf, readPayload } from './payload.js';
import { type ShardParts, Shards } from './shards.js';
import { type SubscriptionParts, Subscriptions } from './subscriptions.js';
import { Waiting } from './waiting.js';

export type RelayParts = Pick<ShardParts, 'target' | 'tls' | 'onChanged' | 'onRoundTrip' | 'onFault' | 'timeoutMs'> &
	Pick<SubscriptionParts, 'lingerMs' | 'find' | 'onGap' | 'onRefused'> & {
		/** Before the name of each channel, in Redis. */
		readonly prefix: string;
		readonly maxMessage: number;
		/** How many bytes of one channel may wait for the relay. */
		readonly maxBacklog: number;
		readonly deliver: (channel: Channel, message: Message) => void;
		/** Closes a channel here, after everything that was delivered. */
		readonly onClose: (channel: Channel) => void;
		/** Hears of a payload that is not a message: `why` is for the log. */
		readonly onDropped: (name: ChannelName, why: string) => void;
		/** Counts the commands that wait for the relay, so that stopping can wait for them. */
		readonly inFlight: { begin(): void; end(): void };
	};

export class Relay implements SharedOrder {
	readonly #parts: RelayParts;
	readonly #shards: Shards;
	readonly #subscriptions: Subscriptions;
	readonly #waiting: Waiting;
	/** The last channel that brought a message: most often the next message is from it too. */
	#last: { readonly wire: Buffer; readonly name: ChannelName } | undefined;
	/** Totals since the start. */
	readonly totals = { out: 0, in: 0, dropped: 0, gaps: 0 };

	constructor(parts: RelayParts) {
		this.#parts = parts;
		this.#waiting = new Waiting(parts.maxBacklog);
		this.#subscriptions = new Subscriptions({
			...parts,
			linkFor: (name) => this.#linkFor(name),
			wireOf: (name) => this.#wireOf(name),
			onRefused: (name, why) => this.#refused(name, why),
		});
		this.#shards = new Shards({
			...parts,
			// No path and no session has a blank at its beginning.
			probe: `${parts.prefix} probe`,
			onMessage: (link, wire, payload) => this.#receive(link, wire, payload),
			onGap: (link, hasLost, ended) => {
				this.totals.gaps++;
				this.#subscriptions.giveUp(link, (wire) => hasLost(slotOf(wire)), ended);
			},
		});
	}

	/** Why a server of the relay is missing, in words; undefined if all are connected. */
	get missing(): string | undefined {
		return this.#shards.missing;
	}

	/** How many channels this server is subscribed to. */
	get channels(): number {
		return this.#subscriptions.count;
	}

	/** How many bytes have been sent to the relay and not been answered yet. Each message counts 64 bytes beside its own. */
	get waitingBytes(): number {
		return this.#waiting.bytes;
	}

	/** Connects. Throws a RelayRefused if the operator has to change something first; goes on trying if the relay cannot be reached. */
	async start(): Promise<void> {
		try {
			await this.#shards.start();
		} catch (error) {
			if (!(error instanceof RelayRefused)) return;
			this.#shards.close();
			throw error;
		}
	}

	stop(): void {
		this.#subscriptions.stop();
		this.#shards.close();
	}

	brings(name: ChannelName): boolean {
		return this.#subscriptions.brings(name);
	}

	bring(names: readonly ChannelName[], done: (failure: OrderFailure | undefined) => void): () => void {
		return this.#subscriptions.bring(names, done);
	}

	left(name: ChannelName): void {
		this.#subscriptions.left(name);
	}

	publish(name: ChannelName, message: Message, done: (result: Published | OrderFailure) => void): OrderFailure | undefined {
		return this.#send(name, message.bytes.byteLength === 0 ? undefined : payloadOf(message), done);
	}

	close(name: ChannelName, done: (result: Published | OrderFailure) => void): OrderFailure | undefined {
		return this.#send(name, closePayload, done);
	}

	whenBack(names: readonly ChannelName[], done: () => void): void {
		const links = new Set(names.flatMap((name) => this.#linkFor(name) ?? []));
		let left = links.size;
		if (left === 0) done();
		for (const link of links) {
			link.whenDone(() => {
				if (--left === 0) done();
			});
		}
	}

	/** Publishes a payload; without one, counts the subscribers. */
	#send(
		name: ChannelName,
		payload: Buffer | undefined,
		done: (result: Published | OrderFailure) => void,
	): OrderFailure | undefined {
		const link = this.#linkFor(name);
		if (link === undefined) return 'away';
		const bytes = (payload?.length ?? 0) + messageOverheadBytes;
		// An operator closes few channels, and the body of a DELETE must not hold up its close.
		if (payload === closePayload) this.#waiting.add(name, bytes);
		else if (!this.#waiting.begin(name, bytes)) return 'busy';
		const { inFlight } = this.#parts;
		inFlight.begin();
		const answered = (answer: Answer) => {
			inFlight.end();
			this.#waiting.end(name, bytes);
			done(this.#resultOf(name, link, answer));
		};
		if (payload === undefined) {
			link.count(this.#wireOf(name), answered);
		} else {
			if (payload !== closePayload) this.totals.out++;
			link.publish(this.#wireOf(name), payload, answered);
		}
		return undefined;
	}

	/** Reports a refusal. The slot of the channel may have another server by now. */
	#refused(name: ChannelName, why: string): void {
		this.#parts.onRefused(name, why);
		this.#shards.lookAgain();
	}

	#resultOf(name: ChannelName, link: Link, answer: Answer): Published | OrderFailure {
		if (answer === 'lost') return 'unknown';
		if (answer instanceof Error) {
			// A replica orders nothing, and a cluster that is down may have another master for the slot.
			if (/READONLY|CLUSTERDOWN|cluster is down/i.test(answer.message)) link.lose(answer.message);
			this.#refused(name, answer.message);
			return 'away';
		}
		if (answer === 0) return { subscribers: 0, nodes: 0 };
		const isHereAlone = answer === 1 && this.#subscriptions.isAt(name, link);
		return { subscribers: isHereAlone ? (this.#parts.find(name)?.subscribers ?? 0) : undefined, nodes: answer };
	}

	#receive(link: Link, wire: Buffer, payload: Buffer): void {
		const name = this.#nameOf(wire);
		// A message that comes before the answer to the subscription, or after the channel was given up, has no subscriber here.
		if (!this.#subscriptions.isAt(name, link)) return;
		const message = readPayload(payload, this.#parts.maxMessage);
		if (message === 'malformed' || message === 'too long') {
			this.totals.dropped++;
			this.#parts.onDropped(name, message);
			return;
		}
		const channel = this.#parts.find(name);
		if (message === 'close') {
			if (channel !== undefined) this.#parts.onClose(channel);
		} else if (message !== 'empty') {
			this.totals.in++;
			if (channel !== undefined) this.#parts.deliver(channel, message);
		}
	}

	#linkFor(name: ChannelName): Link | undefined {
		return this.#shards.linkOf(this.#shards.isCluster ? slotOf(this.#wireOf(name)) : 0);
	}

	#wireOf(name: ChannelName): Buffer {
		return Buffer.from(this.#parts.prefix + name);
	}

	#nameOf(wire: Buffer): ChannelName {
		if (this.#last?.wire.equals(wire)) return this.#last.name;
		const name = wire.toString('utf8', Buffer.byteLength(this.#parts.prefix)) as ChannelName;
		this.#last = { wire: Buffer.from(wire), name };
		return name;
	}
}
