// The subscriptions of one connection that may have several, and the frames by which the server tells of them.
import { closes } from '../connections/closes.js';
import type { Closing } from '../connections/closing.js';
import type { Connection, Groups } from '../connections/connection.js';
import { closeAfterThrow } from '../connections/fault.js';
import { tellLeft } from '../connections/membership.js';
import type { AskAboutPath, Joinable, PathRefusal } from '../http/admission.js';
import type { Events, Party } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Close } from '../pubsub/close.js';
import type { Subscription } from '../pubsub/subscription.js';
import { type CatchUp, isCatchingUp } from '../slow/catch-up.js';
import { type ChangeParts, Changes } from './changes.js';
import type { Envelopes } from './envelopes.js';
import { Expiry, type GrantedSubscription } from './expiry.js';
import { type FrameRefusal, tooManyWaiting } from './refusals.js';
import { type ChangeFrame, type Command, changedFrame, refusedFrame } from './wire.js';

export type GroupParts = ChangeParts & {
	readonly catchUp: CatchUp;
	readonly closing: Closing;
	readonly envelopes: Envelopes;
	readonly events: Pick<Events, 'joined' | 'left' | 'changed' | 'refused' | 'fault'>;
};

/** A connection with a set of channels. */
export interface GroupConnection extends Connection {
	/** Sends a text frame of the server's own. */
	tell(text: string): void;
}

export class GroupSet implements Groups {
	readonly path: ChannelName;
	/** The fan-out that reaches its subscriptions. */
	readonly envelopes: Envelopes;
	first: Channel | undefined;
	readonly #party: Party | undefined;
	readonly #parts: GroupParts;
	readonly #changes: Changes;
	readonly #expiry: Expiry;
	#granted = new Map<ChannelName, GrantedSubscription>();
	/** Undefined before it opens, and after it has closed. */
	#connection: GroupConnection | undefined;

	/** `ask` asks the authorisation service for the client; undefined without a service. */
	constructor(path: ChannelName, ask: AskAboutPath | undefined, party: Party | undefined, parts: GroupParts) {
		this.path = path;
		this.envelopes = parts.envelopes;
		this.#party = party;
		this.#parts = parts;
		this.#changes = new Changes(this, ask, parts);
		this.#expiry = new Expiry(
			parts.hub,
			() => this.#granted.values(),
			(expired) => this.#endExpired(expired),
		);
	}

	/** To be called when the connection has joined the channel of its URL. */
	opened(connection: GroupConnection): void {
		const { subscription, grant } = connection;
		if (subscription === undefined) return;
		this.#connection = connection;
		this.first = subscription.channel;
		// When the grant of a connection expires, the whole connection is closed.
		this.#granted.set(this.path, { subscription, grant: { ...grant, expiry: undefined } });
	}

	/** To be called when the connection has closed, and before its subscriptions end. */
	closed({ subscription }: GroupConnection): void {
		this.#changes.stop();
		this.#expiry.stop();
		let next = subscription;
		for (; next !== undefined; next = next.sibling) if (next.isReached) this.envelopes.detach(next);
		this.#connection = undefined;
	}

	get size(): number {
		return this.#granted.size;
	}

	paths(): Iterable<ChannelName> {
		return this.#granted.keys();
	}

	/** The subscriptions, by the client's names for their channels. */
	subscriptions(): ReadonlyMap<ChannelName, GrantedSubscription> {
		return this.#granted;
	}

	/** Takes a change that the client asks for. */
	takeChange(frame: ChangeFrame): void {
		if (!this.#changes.take(frame) && this.#connection) this.#parts.closing.close(this.#connection, tooManyWaiting);
	}

	/** To be called when the connection has caught up. */
	caughtUp(): void {
		this.guard(() => this.#changes.goOn());
	}

	/** False while the connection is being closed, or is catching up: it must get all earlier messages first. */
	mayChange(): boolean {
		const connection = this.#connection;
		return connection !== undefined && connection.closeCause === undefined && !isCatchingUp(connection);
	}

	/** Joins `joining`, leaves what is not in `wanted`, and answers. Gives the refusal of the first path without room; then nothing changes. */
	change(wanted: ReadonlySet<ChannelName>, joining: readonly Joinable[]): PathRefusal | undefined {
		const connection = this.#connection;
		const { hub, admission, events } = this.#parts;
		const before = this.#granted;
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
		this.#granted = new Map();
		for (const path of current) {
			const granted = before.get(path) ?? this.#join(connection, joinable.get(path));
			if (granted !== undefined) this.#granted.set(path, granted);
		}
		tellLeft(events, leftChannels);
		this.#logChange(joined, leftPaths);
		this.#expiry.run();
		return undefined;
	}

	/** Tells the client why a frame changes and publishes nothing. */
	refuse(refusal: FrameRefusal, command: Command | undefined): void {
		const connection = this.#connection;
		if (connection === undefined) return;
		const { path = this.path, cause, status } = refusal;
		const aim = command === 'publish' ? 'publish' : 'other';
		this.#parts.events.refused({ cause, status, aim, path, origin: this.#party?.origin, ip: () => connection.address() });
		this.#tell(refusedFrame(refusal, command));
	}

	end(subscriptions: readonly Subscription[], { reason }: Close): void {
		this.guard(() => {
			const { hub, catchUp, events } = this.#parts;
			const ended: ChannelName[] = [];
			for (const subscription of subscriptions) {
				const { channel, alias = channel.name } = subscription;
				// False if the connection was too slow: then all its subscriptions have ended.
				if (!catchUp.finish(subscription)) return;
				this.#granted.delete(alias);
				hub.leaveChannel(subscription);
				ended.push(alias);
			}
			this.#tell(changedFrame([...this.paths()], [], ended, reason));
			tellLeft(
				events,
				subscriptions.map(({ channel }) => channel),
			);
			this.#logChange([], ended);
			this.#changes.ended(subscriptions);
		});
	}

	/** Calls `act` unless the connection has closed. A throw closes the connection. */
	guard(act: () => void): void {
		const connection = this.#connection;
		if (connection === undefined) return;
		try {
			act();
		} catch (error) {
			closeAfterThrow(this.#parts.events, connection, error);
		}
	}

	#join(connection: GroupConnection, joinable: Joinable | undefined): GrantedSubscription | undefined {
		if (joinable === undefined) return undefined;
		const { path, name, grant, hello } = joinable;
		const subscription = this.#parts.hub.join(name, connection, path);
		// In the same turn: nothing is published in between.
		if (hello !== undefined) connection.send(hello, subscription);
		this.#parts.events.joined(subscription.channel);
		return { subscription, grant };
	}

	#endExpired(subscriptions: readonly Subscription[]): void {
		// The client may have left some of them meanwhile. A connection that is being closed ends with all its subscriptions.
		const present = subscriptions.filter((subscription) => this.#has(subscription));
		if (present.length > 0 && this.#connection?.closeCause === undefined) this.end(present, closes.expired);
	}

	#has(subscription: Subscription): boolean {
		const { channel, alias = channel.name } = subscription;
		return this.#granted.get(alias)?.subscription === subscription;
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
