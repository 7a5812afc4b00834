// The channels of one connection: which they are, and how they change. A change is made whole or not at all, and one after another.
import { isUtf8 } from 'node:buffer';
import { Allowance } from '../connections/allowance.js';
import { closes } from '../connections/closes.js';
import type { Closing } from '../connections/closing.js';
import type { Connection, Grant, Groups } from '../connections/connection.js';
import type { Admission, Joinable, PathRefusal } from '../http/admission.js';
import type { Asker } from '../http/asking.js';
import type { RefusalCause } from '../http/reply.js';
import type { Events, Party } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import { type ChannelName, parseWrittenPath, pathOf } from '../pubsub/channel-name.js';
import type { Close } from '../pubsub/close.js';
import type { Hub } from '../pubsub/hub.js';
import type { Message } from '../pubsub/message.js';
import type { Subscription } from '../pubsub/subscription.js';
import type { CatchUp } from '../slow/catch-up.js';
import type { Envelopes } from './envelopes.js';
import { changedFrame, enveloped, type Frame, headOf, readFrame, refusedFrame } from './wire.js';

export type GroupParts = {
	readonly hub: Hub;
	readonly catchUp: CatchUp;
	readonly closing: Closing;
	readonly admission: Admission;
	readonly envelopes: Envelopes;
	readonly events: Pick<Events, 'joined' | 'left' | 'changed' | 'refused' | 'fault'>;
	readonly maxGroups: number;
	readonly maxPath: number;
};

/** What a set needs of its connection beside what all connections have. */
export interface GroupConnection extends Connection {
	/** Sends a text frame of the server's own. */
	tell(text: string): void;
}

/** What a client wants to publish, and may. */
export type GroupMessage = { readonly channel: Channel; readonly grant: Grant; readonly body: Uint8Array };

type Membership = { readonly subscription: Subscription; readonly grant: Grant };
type Refusal = {
	readonly path: string | undefined;
	readonly cause: RefusalCause;
	readonly status: number;
	readonly reason: string;
};
type Change = { readonly command: 'subscribe' | 'add' | 'remove'; readonly paths: readonly ChannelName[] };
/** A change that is allowed, and waits for what was published before on the channels that it leaves. */
type Pending = {
	readonly wanted: ReadonlySet<ChannelName>;
	readonly joining: readonly Joinable[];
	readonly waitsFor: Set<Subscription>;
};

// A page that changes what it shows needs a few. Each may ask the authorisation service for every channel.
const changesPerSecond = 10;
// Changes that wait for the authorisation service, or for the client to read. Refused ones count too.
const waitingMax = 64;
// The longest time that a timer of Node's takes.
const timerMsMax = 2 ** 31 - 1;

export class GroupSet implements Groups {
	readonly path: ChannelName;
	first: Channel | undefined;
	readonly #parts: GroupParts;
	readonly #asker: Asker | undefined;
	readonly #party: Party | undefined;
	readonly #changesLeft = new Allowance(changesPerSecond, performance.now());
	/** By the client's names for the channels. */
	#memberships = new Map<ChannelName, Membership>();
	/** The first is being made. */
	readonly #changes: (Change | Refusal)[] = [];
	#pending: Pending | undefined;
	#takeQuestionsBack = ignore;
	#expiring: NodeJS.Timeout | undefined;
	#connection: GroupConnection | undefined;

	/** `asker` is what the authorisation service is told of the client; undefined without a service. */
	constructor(path: ChannelName, asker: Asker | undefined, party: Party | undefined, parts: GroupParts) {
		this.path = path;
		this.#asker = asker;
		this.#party = party;
		this.#parts = parts;
	}

	/** To be called when the connection has joined the channel of its URL. */
	opened(connection: GroupConnection): void {
		const { subscription, grant } = connection;
		this.#connection = connection;
		if (subscription === undefined) return;
		this.first = subscription.channel;
		// When the grant of a connection expires, the whole connection is closed.
		this.#memberships.set(this.path, { subscription, grant: { ...grant, expiry: undefined } });
	}

	/** To be called when the connection has closed, and before its subscriptions end. */
	closed(): void {
		this.#takeQuestionsBack();
		clearTimeout(this.#expiring);
		this.#changes.length = 0;
		this.#pending = undefined;
		let next = this.#connection?.subscription;
		for (; next !== undefined; next = next.sibling) if (next.isReached) this.#parts.envelopes.detach(next);
		this.#connection = undefined;
	}

	paths(): Iterable<ChannelName> {
		return this.#memberships.keys();
	}

	/** A message with its head. */
	enveloped(message: Message, { alias }: Subscription): Buffer {
		return enveloped(headOf(alias), message);
	}

	/** Topics of the fan-out: see Envelopes. */
	attach(subscription: Subscription): string {
		return this.#parts.envelopes.attach(subscription);
	}

	detach(subscription: Subscription): string | undefined {
		return this.#parts.envelopes.detach(subscription);
	}

	/** Takes a frame of the client. Gives what is to be published, if it is a message that may be. */
	received(bytes: ArrayBuffer): GroupMessage | undefined {
		const frame = readFrame(bytes);
		if (typeof frame === 'string') this.#answerRefusal(malformed(frame), 'connect');
		else if (frame.command === 'publish') return this.#messageOf(frame);
		else this.#take(this.#changeOf(frame));
		return undefined;
	}

	/** To be called when the connection has caught up. */
	caughtUp(): void {
		this.#commitIfDue();
	}

	end(subscription: Subscription, { reason }: Close): void {
		const { hub, catchUp, events } = this.#parts;
		const { alias, channel } = subscription;
		if (this.#memberships.get(alias)?.subscription !== subscription || !catchUp.finish(subscription)) return;
		this.#memberships.delete(alias);
		hub.leaveChannel(subscription);
		this.#tell(changedFrame([...this.paths()], [], [alias], reason));
		events.left(channel);
		this.#logChange([], [alias]);
		this.#pending?.waitsFor.delete(subscription);
		this.#commitIfDue();
	}

	#messageOf({ path, body }: Extract<Frame, { command: 'publish' }>): GroupMessage | undefined {
		const name = parseWrittenPath(path, this.#parts.maxPath);
		const membership = typeof name === 'string' ? this.#memberships.get(name) : undefined;
		const channel = membership?.subscription.channel;
		if (typeof name !== 'string') this.#answerRefusal({ ...name, path }, 'publish');
		// A channel that is being closed has its last message.
		else if (membership === undefined || channel === undefined || channel.isClosing)
			this.#answerRefusal({ path, ...notSubscribed }, 'publish');
		else if (!membership.grant.mayPublish) this.#answerRefusal({ path, ...receiveOnly }, 'publish');
		else return { channel, grant: membership.grant, body };
		return undefined;
	}

	/** The change that a frame asks for, or why it cannot be made. */
	#changeOf({ command, paths }: Exclude<Frame, { command: 'publish' }>): Change | Refusal {
		const { maxGroups, maxPath } = this.#parts;
		if (!this.#changesLeft.take(performance.now())) return tooManyChanges;
		const names = new Set<ChannelName>();
		for (const path of paths) {
			const name = parseWrittenPath(path, maxPath);
			if (typeof name !== 'string') return { ...name, path };
			names.add(name);
			if (names.size > maxGroups) return tooManyChannels(maxGroups);
		}
		return { command, paths: [...names] };
	}

	#take(change: Change | Refusal): void {
		if (this.#changes.push(change) === 1) this.#begin(change);
		else if (this.#changes.length > waitingMax && this.#connection) this.#parts.closing.close(this.#connection, tooManyWaiting);
	}

	/** Begins the first of the changes, and goes on with the next when it has been answered. */
	#begin(change: Change | Refusal): void {
		if ('cause' in change) {
			this.#refuse(change);
			return;
		}
		const { maxGroups, admission } = this.#parts;
		const wanted = this.#wantedBy(change);
		if (wanted.size > maxGroups) {
			this.#refuse(tooManyChannels(maxGroups));
			return;
		}
		const joining = [...wanted].filter((path) => !this.#memberships.has(path));
		let isAnswered = false;
		const takeBack = admission.askForMore(joining, this.#asker, (answer) =>
			this.#guarded(() => {
				isAnswered = true;
				this.#takeQuestionsBack = ignore;
				if ('refused' in answer) this.#refuse(refusalOf(answer));
				else this.#awaitOrder(wanted, answer);
			}),
		);
		// If it has been answered in this turn, the questions of the next change may be out by now.
		if (!isAnswered) this.#takeQuestionsBack = takeBack;
	}

	#wantedBy({ command, paths }: Change): Set<ChannelName> {
		if (command === 'subscribe') return new Set(paths);
		const wanted = new Set(this.paths());
		for (const path of paths) {
			if (command === 'add') wanted.add(path);
			else wanted.delete(path);
		}
		return wanted;
	}

	/** Waits until what was published before has gone out on each channel that the connection leaves. */
	#awaitOrder(wanted: ReadonlySet<ChannelName>, joining: readonly Joinable[]): void {
		const leaving = [...this.#memberships].filter(([path]) => !wanted.has(path)).map(([, { subscription }]) => subscription);
		const pending: Pending = { wanted, joining, waitsFor: new Set(leaving) };
		this.#pending = pending;
		for (const subscription of leaving) {
			this.#parts.hub.inOrder(subscription.channel, () => {
				pending.waitsFor.delete(subscription);
				this.#commitIfDue();
			});
		}
		this.#commitIfDue();
	}

	/** Makes the pending change, unless it has to wait: a connection that is catching up has to read everything from before. */
	#commitIfDue(): void {
		const connection = this.#connection;
		const pending = this.#pending;
		if (connection === undefined || pending === undefined || connection.closeCause !== undefined) return;
		if (pending.waitsFor.size > 0 || this.#parts.catchUp.isCatchingUp(connection)) return;
		this.#pending = undefined;
		this.#guarded(() => this.#commit(connection, pending));
	}

	#commit(connection: GroupConnection, { wanted, joining }: Pending): void {
		const { hub, admission, events } = this.#parts;
		const refusal = admission.whyNoRoomFor(joining);
		if (refusal !== undefined) {
			this.#refuse(refusalOf(refusal));
			return;
		}
		const before = this.#memberships;
		const left = [...before].filter(([path]) => !wanted.has(path));
		const joined = joining.map(({ path }) => path);
		const current = [...wanted].filter((path) => before.has(path) || joined.includes(path));
		for (const [, { subscription }] of left) hub.leaveChannel(subscription);
		const leftPaths = left.map(([path]) => path);
		this.#tell(changedFrame(current, joined, leftPaths));
		this.#memberships = new Map();
		for (const path of current) {
			const membership = before.get(path) ?? this.#join(connection, joining, path);
			if (membership !== undefined) this.#memberships.set(path, membership);
		}
		for (const [, { subscription }] of left) events.left(subscription.channel);
		this.#logChange(joined, leftPaths);
		this.#expire();
		this.#next();
	}

	#join(connection: GroupConnection, joining: readonly Joinable[], path: ChannelName): Membership | undefined {
		const joinable = joining.find((joinable) => joinable.path === path);
		if (joinable === undefined) return undefined;
		const { name, grant, hello } = joinable;
		const subscription = this.#parts.hub.join(name, connection, path);
		// In the same turn: nothing is published in between.
		if (hello !== undefined) connection.send(hello, subscription);
		this.#parts.events.joined(subscription.channel);
		return { subscription, grant };
	}

	/** Ends the subscriptions that have expired, and comes back when the next one does. */
	#expire(): void {
		clearTimeout(this.#expiring);
		const nowMs = performance.now();
		let nextMs = Number.POSITIVE_INFINITY;
		for (const { subscription, grant } of this.#memberships.values()) {
			const expiresMs = grant.expiry?.atMs ?? Number.POSITIVE_INFINITY;
			if (expiresMs > nowMs) nextMs = Math.min(nextMs, expiresMs);
			else
				this.#parts.hub.inOrder(subscription.channel, () =>
					this.#guarded(() => {
						// Else it ends with its connection.
						if (this.#connection?.closeCause === undefined) this.end(subscription, closes.expired);
					}),
				);
		}
		if (nextMs === Number.POSITIVE_INFINITY) return;
		const waitMs = Math.min(Math.ceil(nextMs - nowMs), timerMsMax);
		this.#expiring = setTimeout(() => this.#guarded(() => this.#expire()), waitMs).unref();
	}

	#refuse(refusal: Refusal): void {
		this.#answerRefusal(refusal, 'connect');
		this.#next();
	}

	#next(): void {
		this.#changes.shift();
		const [next] = this.#changes;
		if (next !== undefined) this.#begin(next);
	}

	#answerRefusal({ path, cause, status, reason }: Refusal, aim: 'connect' | 'publish'): void {
		const connection = this.#connection;
		if (connection === undefined) return;
		const { events } = this.#parts;
		const { path: own } = this;
		events.refused({ cause, status, aim, path: path ?? own, origin: this.#party?.origin, ip: () => connection.address() });
		this.#tell(refusedFrame(path, status, reason));
	}

	#tell(text: string): void {
		this.#connection?.tell(text);
	}

	#logChange(joined: readonly string[], left: readonly string[]): void {
		const connection = this.#connection;
		if (connection === undefined || this.first === undefined) return;
		this.#parts.events.changed(this.first, this.#party ?? { conn: connection.id, ip: connection.address() }, joined, left);
	}

	/** Does something in a turn of the server's own, so that a throw closes the connection, and does not end the process. */
	#guarded(act: () => void): void {
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
}

function refusalOf({ path, refused }: PathRefusal): Refusal {
	const { status, cause, reason, body } = refused;
	// What is not UTF-8 would end the connection.
	const isText = body !== undefined && isUtf8(body);
	return { path: pathOf(path), status, cause, reason: isText ? Buffer.from(body).toString() : reason };
}

function malformed(reason: string): Refusal {
	return { path: undefined, cause: 'groups', status: 400, reason };
}

function tooManyChannels(maxGroups: number): Refusal {
	return {
		path: undefined,
		cause: 'groups',
		status: 413,
		reason: `A connection may have ${maxGroups} channels at most (--max-groups).`,
	};
}

const notSubscribed = {
	cause: 'groups',
	status: 403,
	reason: 'This connection is not subscribed to this channel: subscribe to it, and publish after the answer.',
} as const;
const receiveOnly = { cause: 'groups', status: 403, reason: 'This connection may only receive on this channel.' } as const;
const tooManyChanges: Refusal = {
	path: undefined,
	cause: 'groups',
	status: 429,
	reason: `A connection may change its channels ${changesPerSecond} times a second: name more of them in one change, or try again in a second.`,
};
const tooManyWaiting: Close = {
	cause: 'flood',
	reason: 'too many changes at once: send the next one when the ones before have been answered',
};
const ignore = () => {};
