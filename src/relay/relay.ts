// Shares the channels with other servers over Redis or Valkey: what is published goes there, and is delivered when it comes back, so that
// all servers deliver the messages of a channel in the order of one process. What may have been missed is never passed over: its channels
// are given up, and their subscribers are closed.
import slotOf from 'cluster-key-slot';
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import { type Message, messageOverheadBytes } from '../pubsub/message.js';
import { NameMap } from '../pubsub/name-map.js';
import type { OrderFailure, Published, SharedOrder } from '../pubsub/order.js';
import { Linger } from './linger.js';
import { type Answer, type Link, RelayRefused } from './link.js';
import { closePayload, payloadOf, readPayload } from './payload.js';
import { type ShardParts, Shards } from './shards.js';

export type RelayParts = Pick<ShardParts, 'target' | 'options' | 'onChanged' | 'onRoundTrip' | 'onFault' | 'timeoutMs'> & {
	/** Before the name of each channel, in Redis. */
	readonly prefix: string;
	/** How long a channel without subscribers here is still subscribed to. */
	readonly lingerMs: number;
	readonly maxMessage: number;
	/** How many bytes of one channel may wait for the relay. */
	readonly maxBacklog: number;
	/** The channel of a name, if it has subscribers here. */
	readonly find: (name: ChannelName) => Channel | undefined;
	readonly deliver: (channel: Channel, message: Message) => void;
	/** Closes a channel here, after everything that was delivered. */
	readonly onClose: (channel: Channel) => void;
	/** Gives up channels whose subscribers may have missed something. They get nothing more. */
	readonly onGap: (server: string, channels: readonly Channel[]) => void;
	/** Hears of what is no message: `why` is for the log. */
	readonly onDropped: (name: ChannelName, why: string) => void;
	/** Hears that the relay has refused to publish, and why. */
	readonly onRefused: (name: ChannelName, why: string) => void;
	/** Counts what waits for the relay, so that stopping can wait for it. */
	readonly inFlight: { begin(): void; end(): void };
};

// What waits for the relay, over all channels. When so much waits, only the first message of another channel is taken, up to twice as
// much: a few channels must not keep the others out.
const waitingBytesMax = 67_108_864;
// How many subscribers may wait until their channels are subscribed to.
const joiningMax = 65_536;
// How many channels are given up in one tick: some milliseconds' work.
const channelsPerTick = 5_000;

/** A channel that is being subscribed to, and who waits for it. */
type Joining = { readonly link: Link; readonly waiting: Set<(failure: OrderFailure | undefined) => void> };
/** The server at which a channel is subscribed to, or being subscribed to. */
type Entry = Link | Joining;

export class Relay implements SharedOrder {
	readonly #parts: RelayParts;
	readonly #shards: Shards;
	readonly #entries = new NameMap<Entry>();
	readonly #linger: Linger;
	/** How many bytes of each channel wait for the relay. */
	readonly #waiting = new Map<ChannelName, number>();
	#waitingBytes = 0;
	#joining = 0;
	/** The last channel that brought a message: most often the next message is from it too. */
	#last: { readonly wire: Buffer; readonly name: ChannelName } | undefined;
	/** Totals since the start. */
	readonly totals = { out: 0, in: 0, dropped: 0, gaps: 0 };

	constructor(parts: RelayParts) {
		this.#parts = parts;
		this.#shards = new Shards({
			...parts,
			onMessage: (link, wire, payload) => this.#receive(link, wire, payload),
			onGap: (link, hasLost, ended) => this.#giveUp(link, hasLost, ended),
		});
		this.#linger = new Linger(parts.lingerMs, (name) => this.#release(name));
	}

	/** Why a server of the relay is missed, in words; undefined if all are there. */
	get missing(): string | undefined {
		return this.#shards.missing;
	}

	/** How many channels this server is subscribed to. */
	get channels(): number {
		return this.#entries.size;
	}

	/** How much has been sent to the relay, and not been answered yet. Each message counts 64 bytes beside its own. */
	get waitingBytes(): number {
		return this.#waitingBytes;
	}

	/** Connects. Throws a RelayRefused if somebody has to mend something first; goes on trying if the relay cannot be reached. */
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
		this.#linger.stop();
		this.#shards.close();
	}

	brings(name: ChannelName): boolean {
		const entry = this.#entries.get(name);
		if (entry === undefined) return false;
		if (linkOf(entry) === this.#linkFor(name)) return !isJoining(entry);
		// Its link is lost, or its slot.
		this.#lose(name);
		return false;
	}

	bring(names: readonly ChannelName[], done: (failure: OrderFailure | undefined) => void): () => void {
		// Two paths of a connection may have one channel.
		const missing = [...new Set(names)].filter((name) => !this.brings(name));
		const links = missing.map((name) => this.#linkFor(name));
		const failure = this.#joining >= joiningMax ? 'busy' : links.includes(undefined) ? 'away' : undefined;
		if (failure !== undefined || missing.length === 0) {
			const telling = setImmediate(done, failure);
			return () => clearImmediate(telling);
		}
		this.#joining++;
		let left = missing.length;
		const end = (failure: OrderFailure | undefined) => {
			if (left === 0 || (failure === undefined && --left > 0)) return;
			left = 0;
			this.#joining--;
			done(failure);
		};
		for (const [index, name] of missing.entries()) this.#joiningOf(name, links[index] as Link).waiting.add(end);
		return () => {
			if (left === 0) return;
			left = 0;
			this.#joining--;
			for (const name of missing) {
				const entry = this.#entries.get(name);
				if (entry !== undefined && isJoining(entry)) entry.waiting.delete(end);
			}
		};
	}

	left(name: ChannelName): void {
		if (this.#entries.get(name) !== undefined) this.#linger.add(name);
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
		if (!this.#hasRoom(name, bytes)) return 'busy';
		const { inFlight } = this.#parts;
		inFlight.begin();
		this.#countWaiting(name, bytes);
		const answered = (answer: Answer) => {
			inFlight.end();
			this.#countWaiting(name, -bytes);
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

	#hasRoom(name: ChannelName, bytes: number): boolean {
		const own = this.#waiting.get(name) ?? 0;
		const share = own === 0 ? 2 : 1;
		if (this.#waitingBytes >= share * waitingBytesMax) return false;
		// A message that is as long as may be passes alone.
		return own === 0 || own + bytes <= this.#parts.maxBacklog;
	}

	#countWaiting(name: ChannelName, bytes: number): void {
		const own = (this.#waiting.get(name) ?? 0) + bytes;
		if (own === 0) this.#waiting.delete(name);
		else this.#waiting.set(name, own);
		this.#waitingBytes += bytes;
	}

	#resultOf(name: ChannelName, link: Link, answer: Answer): Published | OrderFailure {
		if (answer === 'lost') return 'unknown';
		if (answer instanceof Error) {
			this.#parts.onRefused(name, answer.message);
			// A replica orders nothing.
			if (/READONLY/.test(answer.message)) link.lose(answer.message);
			else this.#shards.lookAgain();
			return 'away';
		}
		if (answer === 0) return { subscribers: 0, nodes: 0 };
		const isHereAlone = answer === 1 && this.#entries.get(name) === link;
		return { subscribers: isHereAlone ? (this.#parts.find(name)?.subscribers ?? 0) : undefined, nodes: answer };
	}

	#receive(link: Link, wire: Buffer, payload: Buffer): void {
		const name = this.#nameOf(wire);
		// What comes before the answer to the subscription, or after a channel was given up, is for nobody here.
		if (this.#entries.get(name) !== link) return;
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

	/** The entry of a channel that is being subscribed to. */
	#joiningOf(name: ChannelName, link: Link): Joining {
		const entry = this.#entries.get(name);
		if (entry !== undefined && isJoining(entry)) return entry;
		const joining: Joining = { link, waiting: new Set() };
		this.#entries.set(name, joining);
		link.subscribe(this.#wireOf(name), (answer) => this.#subscribed(name, joining, answer));
		return joining;
	}

	#subscribed(name: ChannelName, joining: Joining, answer: Answer): void {
		if (this.#entries.get(name) !== joining) return;
		if (typeof answer !== 'number') {
			this.#lose(name);
			if (answer === 'lost') return;
			this.#parts.onRefused(name, answer.message);
			this.#shards.lookAgain();
			return;
		}
		this.#entries.set(name, joining.link);
		for (const tell of joining.waiting) tell(undefined);
		// The client that asked may have gone.
		if (this.#parts.find(name) === undefined) this.#linger.add(name);
	}

	/** Ends the subscription to a channel that nobody has joined for some time. */
	#release(name: ChannelName): void {
		const entry = this.#entries.get(name);
		if (entry === undefined || isJoining(entry) || this.#parts.find(name) !== undefined) return;
		this.#entries.delete(name);
		entry.unsubscribe(this.#wireOf(name));
	}

	/** Forgets a channel whose messages do not come here any more. Gives the channel, if it has subscribers. */
	#forget(name: ChannelName, entry: Entry): Channel | undefined {
		this.#entries.delete(name);
		this.#linger.delete(name);
		if (!isJoining(entry)) return this.#parts.find(name);
		for (const tell of entry.waiting) tell('away');
		return undefined;
	}

	#lose(name: ChannelName): void {
		const entry = this.#entries.get(name);
		const channel = entry && this.#forget(name, entry);
		if (entry !== undefined && channel !== undefined) this.#parts.onGap(linkOf(entry).address, [channel]);
	}

	/** Gives up the channels of a connection, or of those slots of it, some in each tick. */
	#giveUp(link: Link, hasLost: (slot: number) => boolean, ended: number): void {
		this.totals.gaps++;
		const parts = this.#entries.parts()[Symbol.iterator]();
		let heldLost = 0;
		const goOn = () => {
			const channels: Channel[] = [];
			let looked = 0;
			for (let part = parts.next(); !part.done; part = parts.next()) {
				for (const [name, entry] of part.value) {
					looked++;
					if (linkOf(entry) !== link || (!link.isLost && !hasLost(slotOf(this.#wireOf(name))))) continue;
					if (!isJoining(entry)) heldLost++;
					const channel = this.#forget(name, entry);
					if (channel !== undefined) channels.push(channel);
				}
				if (looked >= channelsPerTick) break;
			}
			if (channels.length > 0) this.#parts.onGap(link.address, channels);
			if (looked >= channelsPerTick) setImmediate(goOn);
			else if (heldLost < ended) link.lose('the server ended subscriptions that it still serves');
		};
		goOn();
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

function isJoining(entry: Entry): entry is Joining {
	return 'waiting' in entry;
}

function linkOf(entry: Entry): Link {
	return isJoining(entry) ? entry.link : entry;
}
