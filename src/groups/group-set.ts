// The channels of one connection that may have several: its subscriptions, and the frames that it sends and is sent.
import { closes } from '../connections/closes.js';
import type { Closing } from '../connections/closing.js';
import type { Connection, Grant, Groups } from '../connections/connection.js';
import { tellLeft } from '../connections/membership.js';
import type { Joinable, PathRefusal } from '../http/admission.js';
import type { Asker } from '../http/asking.js';
import type { Events, Party } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import { type ChannelName, parseWrittenPath } from '../pubsub/channel-name.js';
import type { Close } from '../pubsub/close.js';
import type { Message } from '../pubsub/message.js';
import type { Subscription } from '../pubsub/subscription.js';
import type { CatchUp } from '../slow/catch-up.js';
import { type ChangedSet, type ChangeParts, Changes } from './changes.js';
import type { Envelopes } from './envelopes.js';
import { malformed, notSubscribed, type Refusal, receiveOnly } from './refusals.js';
import { type Command, changedFrame, enveloped, headOf, type PublishFrame, readFrame, refusedFrame } from './wire.js';

export type GroupParts = ChangeParts & {
	readonly catchUp: CatchUp;
	readonly closing: Closing;
	readonly envelopes: Envelopes;
	readonly events: Pick<Events, 'joined' | 'left' | 'changed' | 'refused' | 'fault'>;
};

/** What a set needs of its connection beside what all connections have. */
export interface GroupConnection extends Connection {
	/** Sends a text frame of the server's own. */
	tell(text: string): void;
}

/** What a client wants to publish, on a channel to which it is subscribed. */
export type GroupMessage = { readonly channel: Channel; readonly grant: Grant; readonly body: Uint8Array };

type Membership = { readonly subscription: Subscription; readonly grant: Grant };

// The longest time that a timer of Node's takes.
const timerMsMax = 2 ** 31 - 1;

export class GroupSet implements Groups, ChangedSet {
	readonly path: ChannelName;
	first: Channel | undefined;
	readonly #party: Party | undefined;
	readonly #parts: GroupParts;
	readonly #changes: Changes;
	#memberships = new Map<ChannelName, Membership>();
	#expiring: NodeJS.Timeout | undefined;
	/** Undefined before it opens, and after it has closed. */
	#connection: GroupConnection | undefined;

	/** `asker` is what the authorisation service is told of the client; undefined without a service. */
	constructor(path: ChannelName, asker: Asker | undefined, party: Party | undefined, parts: GroupParts) {
		this.path = path;
		this.#party = party;
		this.#parts = parts;
		this.#changes = new Changes(this, asker, parts);
	}

	/** To be called when the connection has joined the channel of its URL. */
	opened(connection: GroupConnection): void {
		const { subscription, grant } = connection;
		if (subscription === undefined) return;
		this.#connection = connection;
		this.first = subscription.channel;
		// When the grant of a connection expires, the whole connection is closed.
		this.#memberships.set(this.path, { subscription, grant: { ...grant, expiry: undefined } });
	}

	/** To be called when the connection has closed, and before its subscriptions end. */
	closed(): void {
		this.#changes.stop();
		clearTimeout(this.#expiring);
		let next = this.#connection?.subscription;
		for (; next !== undefined; next = next.sibling) if (next.isReached) this.detach(next);
		this.#connection = undefined;
	}

	paths(): Iterable<ChannelName> {
		return this.#memberships.keys();
	}

	subscriptions(): ReadonlyMap<ChannelName, Membership> {
		return this.#memberships;
	}

	/** The engine's topic, by which the fan-out reaches a subscription from now on. */
	attach(subscription: Subscription): string {
		return this.#parts.envelopes.attach(subscription);
	}

	/** The topic by which it reached the subscription. */
	detach(subscription: Subscription): string | undefined {
		return this.#parts.envelopes.detach(subscription);
	}

	/** A message with its head, for this connection alone. */
	enveloped(message: Message, { channel, alias = channel.name }: Subscription): Buffer {
		return enveloped(headOf(alias), message);
	}

	/** Takes a frame of the client. Gives the message, if it is one that may be published. */
	received(bytes: ArrayBuffer): GroupMessage | undefined {
		const frame = readFrame(bytes);
		if (typeof frame === 'string') this.refuse(malformed(frame), undefined);
		else if (frame.command === 'publish') return this.#messageOf(frame);
		else if (!this.#changes.take(frame) && this.#connection) this.#parts.closing.close(this.#connection, tooManyWaiting);
		return undefined;
	}

	/** To be called when the connection has caught up. */
	caughtUp(): void {
		this.guard(() => this.#changes.goOn());
	}

	mayChange(): boolean {
		const connection = this.#connection;
		return connection !== undefined && connection.closeCause === undefined && !this.#parts.catchUp.isCatchingUp(connection);
	}

	change(wanted: ReadonlySet<ChannelName>, joining: readonly Joinable[]): PathRefusal | undefined {
		const connection = this.#connection;
		const { hub, admission, events } = this.#parts;
		const before = this.#memberships;
		const left = [...before].filter(([path]) => !wanted.has(path));
		const leftPaths = left.map(([path]) => path);
		const leftChannels = left.map(([, { subscription }]) => subscription.channel);
		const refusal = admission.whyNoRoomFor(joining, leftChannels);
		if (refusal !== undefined || connection === undefined) return refusal;
		const joinable = new Map(joining.map((joinable) => [joinable.path, joinable]));
		const joined = [...joinable.keys()];
		// The server may have ended a subscription that is wanted, since the client asked.
		const current = [...wanted].filter((path) => before.has(path) || joinable.has(path));
		for (const [, { subscription }] of left) hub.leaveChannel(subscription);
		this.#tell(changedFrame(current, joined, leftPaths));
		this.#memberships = new Map();
		for (const path of current) {
			const membership = before.get(path) ?? this.#join(connection, joinable.get(path));
			if (membership !== undefined) this.#memberships.set(path, membership);
		}
		tellLeft(events, leftChannels);
		this.#logChange(joined, leftPaths);
		this.#expire();
		return undefined;
	}

	refuse(refusal: Refusal, command: Command | undefined): void {
		const connection = this.#connection;
		if (connection === undefined) return;
		const { path = this.path, cause, status } = refusal;
		const aim = command === 'publish' ? 'publish' : 'connect';
		this.#parts.events.refused({ cause, status, aim, path, origin: this.#party?.origin, ip: () => connection.address() });
		this.#tell(refusedFrame(refusal, command));
	}

	end(subscription: Subscription, { reason }: Close): void {
		const { hub, catchUp, events } = this.#parts;
		const { channel, alias = channel.name } = subscription;
		if (this.#memberships.get(alias)?.subscription !== subscription || !catchUp.finish(subscription)) return;
		this.#memberships.delete(alias);
		hub.leaveChannel(subscription);
		this.#tell(changedFrame([...this.paths()], [], [alias], reason));
		events.left(channel);
		this.#logChange([], [alias]);
		this.guard(() => this.#changes.ended(subscription));
	}

	/** Does something for the connection, unless it has closed. A throw closes the connection: the process must not end. */
	guard(act: () => void): void {
		const connection = this.#connection;
		if (connection === undefined) return;
		try {
			act();
		} catch (error) {
			this.#parts.events.fault(
				error,
				{},
				'A change of channels threw; its websocket is closed with 1011, and the server goes on.',
			);
			connection.end(closes.failed);
		}
	}

	#join(connection: GroupConnection, joinable: Joinable | undefined): Membership | undefined {
		if (joinable === undefined) return undefined;
		const { path, name, grant, hello } = joinable;
		const subscription = this.#parts.hub.join(name, connection, path);
		// In the same turn: nothing is published in between.
		if (hello !== undefined) connection.send(hello, subscription);
		this.#parts.events.joined(subscription.channel);
		return { subscription, grant };
	}

	#messageOf({ path, body }: PublishFrame): GroupMessage | undefined {
		const name = parseWrittenPath(path, this.#parts.maxPath);
		if (typeof name !== 'string') {
			this.refuse({ ...name, path }, 'publish');
			return undefined;
		}
		const membership = this.#memberships.get(name);
		// A channel that is being closed has its last message.
		if (membership === undefined || membership.subscription.channel.isClosing) this.refuse(notSubscribed(path), 'publish');
		else if (!membership.grant.mayPublish) this.refuse(receiveOnly(path), 'publish');
		else return { channel: membership.subscription.channel, grant: membership.grant, body };
		return undefined;
	}

	/** Ends the subscriptions that have expired, and comes back when the next one does. */
	#expire(): void {
		const nowMs = performance.now();
		const memberships = [...this.#memberships.values()];
		const expired = memberships.filter(({ grant }) => grant.expiry !== undefined && grant.expiry.atMs <= nowMs);
		const later = memberships.flatMap(({ grant }) => grant.expiry?.atMs ?? []).filter((atMs) => atMs > nowMs);
		// First: the connection may close below, and stops the timer then.
		clearTimeout(this.#expiring);
		const waitMs = Math.min(...later) - nowMs;
		if (later.length > 0)
			this.#expiring = setTimeout(() => this.guard(() => this.#expire()), Math.min(Math.ceil(waitMs), timerMsMax)).unref();
		for (const { subscription } of expired) this.#parts.hub.inOrder(subscription.channel, () => this.#endExpired(subscription));
	}

	#endExpired(subscription: Subscription): void {
		// A connection that is being closed ends with all its subscriptions.
		if (this.#connection?.closeCause === undefined) this.guard(() => this.end(subscription, closes.expired));
	}

	#tell(text: string): void {
		this.#connection?.tell(text);
	}

	#logChange(joined: readonly string[], left: readonly string[]): void {
		const connection = this.#connection;
		if (connection === undefined || this.first === undefined) return;
		this.#parts.events.changed(this.first, this.#party ?? { conn: connection.id, ip: connection.address() }, joined, left);
	}
}

const tooManyWaiting: Close = {
	cause: 'flood',
	reason: 'too many changes at once: send the next one when the ones before have been answered',
};
