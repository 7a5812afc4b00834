// The channels that this server is subscribed to at the relay, from their first subscriber here until some seconds after the last.
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import { NameMap } from '../pubsub/name-map.js';
import type { OrderFailure } from '../pubsub/order.js';
import { Linger } from './linger.js';
import type { Answer, Link } from './link.js';

export type SubscriptionParts = {
	/** How long a channel without subscribers here is still subscribed to. */
	readonly lingerMs: number;
	/** The channel of a name, if it has subscribers here. */
	readonly find: (name: ChannelName) => Channel | undefined;
	/** The server of the relay that has a channel; undefined while there is none. */
	readonly linkFor: (name: ChannelName) => Link | undefined;
	/** The name of a channel at the relay. */
	readonly wireOf: (name: ChannelName) => Buffer;
	/** Gives up channels whose subscribers may have missed something. They get nothing more. */
	readonly onGap: (server: string, channels: readonly Channel[]) => void;
	/** Hears that a server has refused a subscription, and why. */
	readonly onRefused: (name: ChannelName, why: string) => void;
};

// How many subscribers may wait until their channels are subscribed to; and how many channels may be, also of clients that have gone.
const joiningMax = 65_536;
// How many channels are given up in one tick: some milliseconds' work.
const channelsPerTick = 5_000;

/** A channel that is being subscribed to, and the subscribers that wait for it. */
type Joining = { readonly link: Link; readonly waiting: Set<(failure: OrderFailure | undefined) => void> };
/** The server at which a channel is subscribed to, or being subscribed to. */
type Entry = Link | Joining;

export class Subscriptions {
	readonly #parts: SubscriptionParts;
	readonly #entries = new NameMap<Entry>();
	readonly #linger: Linger;
	/** Subscribers that wait. */
	#joining = 0;
	/** Subscriptions that the relay has not confirmed yet. */
	#unconfirmed = 0;

	constructor(parts: SubscriptionParts) {
		this.#parts = parts;
		this.#linger = new Linger(parts.lingerMs, (name) => this.#release(name));
	}

	get count(): number {
		return this.#entries.size;
	}

	stop(): void {
		this.#linger.stop();
	}

	/** Whether a channel is subscribed to at this server. */
	isAt(name: ChannelName, link: Link): boolean {
		return this.#entries.get(name) === link;
	}

	/** See SharedOrder. */
	brings(name: ChannelName): boolean {
		const entry = this.#entries.get(name);
		if (entry === undefined) return false;
		if (linkOf(entry) === this.#parts.linkFor(name)) return !isJoining(entry);
		// Its server is lost, or its slot.
		const channel = this.#forget(name, entry);
		if (channel !== undefined) this.#parts.onGap(linkOf(entry).address, [channel]);
		return false;
	}

	/** See SharedOrder. */
	bring(names: readonly ChannelName[], done: (failure: OrderFailure | undefined) => void): () => void {
		// Two paths of a connection may have one channel.
		const missing = [...new Set(names)].filter((name) => !this.brings(name));
		const links = missing.map((name) => this.#parts.linkFor(name));
		const isBusy = Math.max(this.#joining, this.#unconfirmed) >= joiningMax;
		const failure = isBusy ? 'busy' : links.includes(undefined) ? 'away' : undefined;
		// The first of two channels may have been released or lost before the second is subscribed to.
		const tell = (failure: OrderFailure | undefined) =>
			done(failure ?? (names.every((name) => this.brings(name)) ? undefined : 'away'));
		if (failure !== undefined || missing.length === 0) {
			const telling = setImmediate(tell, failure);
			return () => clearImmediate(telling);
		}
		// The channels that are subscribed to already linger, so that they are not released meanwhile.
		for (const name of names) this.left(name);
		this.#joining++;
		let left = missing.length;
		const end = (failure: OrderFailure | undefined) => {
			if (left === 0 || (failure === undefined && --left > 0)) return;
			left = 0;
			this.#joining--;
			tell(failure);
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

	/** To be called when a channel has lost its last subscriber here. */
	left(name: ChannelName): void {
		if (this.#entries.get(name) !== undefined) this.#linger.add(name);
	}

	/**
	 * Gives up the channels of a server that is lost, or of slots that it has lost, some in each tick. `ended` is how many subscriptions the
	 * server has ended by itself: if these channels are fewer, another has lost its subscription, and the connection is given up.
	 */
	giveUp(link: Link, hasLost: (wire: Buffer) => boolean, ended: number): void {
		const parts = this.#entries.parts()[Symbol.iterator]();
		let lost = 0;
		const goOn = () => {
			const channels: Channel[] = [];
			let looked = 0;
			for (let part = parts.next(); !part.done; part = parts.next()) {
				for (const [name, entry] of part.value) {
					looked++;
					if (linkOf(entry) !== link || (!link.isLost && !hasLost(this.#parts.wireOf(name)))) continue;
					if (!isJoining(entry)) lost++;
					const channel = this.#forget(name, entry);
					if (channel !== undefined) channels.push(channel);
				}
				if (looked >= channelsPerTick) break;
			}
			if (channels.length > 0) this.#parts.onGap(link.address, channels);
			if (looked >= channelsPerTick) setImmediate(goOn);
			else if (lost < ended) link.lose('the server ended subscriptions that it still serves');
		};
		goOn();
	}

	/** The entry of a channel that is being subscribed to. */
	#joiningOf(name: ChannelName, link: Link): Joining {
		const entry = this.#entries.get(name);
		if (entry !== undefined && isJoining(entry)) return entry;
		const joining: Joining = { link, waiting: new Set() };
		this.#entries.set(name, joining);
		this.#unconfirmed++;
		link.subscribe(this.#parts.wireOf(name), (answer) => {
			this.#unconfirmed--;
			this.#subscribed(name, joining, answer);
		});
		return joining;
	}

	#subscribed(name: ChannelName, joining: Joining, answer: Answer): void {
		const entry = this.#entries.get(name);
		if (entry !== joining) {
			// The channel was given up meanwhile. A subscription that nobody needs would count as a subscriber.
			const isNeeded = entry !== undefined && linkOf(entry) === joining.link;
			if (typeof answer === 'number' && !isNeeded) joining.link.unsubscribe(this.#parts.wireOf(name));
			return;
		}
		if (typeof answer !== 'number') {
			this.#forget(name, joining);
			if (answer !== 'lost') this.#parts.onRefused(name, answer.message);
			return;
		}
		this.#entries.set(name, joining.link);
		for (const tell of joining.waiting) tell(undefined);
		// The client that asked may have gone.
		if (this.#parts.find(name) === undefined) this.#linger.add(name);
	}

	/** Ends the subscription to a channel that has had no subscriber for some time. */
	#release(name: ChannelName): void {
		const entry = this.#entries.get(name);
		if (entry === undefined || isJoining(entry) || this.#parts.find(name) !== undefined) return;
		this.#entries.delete(name);
		entry.unsubscribe(this.#parts.wireOf(name));
	}

	/** Forgets a channel whose messages do not come here any more. Gives the channel, if it has subscribers. */
	#forget(name: ChannelName, entry: Entry): Channel | undefined {
		this.#entries.delete(name);
		this.#linger.delete(name);
		if (!isJoining(entry)) return this.#parts.find(name);
		for (const tell of entry.waiting) tell('away');
		return undefined;
	}
}

function isJoining(entry: Entry): entry is Joining {
	return 'waiting' in entry;
}

function linkOf(entry: Entry): Link {
	return isJoining(entry) ? entry.link : entry;
}
