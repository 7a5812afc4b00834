// A websocket as a connection: what the rest of the server may do with it, in the engine's terms.
import type { Allowance } from '../connections/allowance.js';
import type { Grant } from '../connections/connection.js';
import type { Socket } from '../engine.js';
import type { GroupConnection, GroupSet } from '../groups/group-set.js';
import type { Party } from '../observe/events.js';
import type { Close, CloseCause, DropCause } from '../pubsub/close.js';
import type { Message } from '../pubsub/message.js';
import type { Subscription } from '../pubsub/subscription.js';

/** What hangs on each websocket. The engine copies the fields of this object onto the socket. */
export type UserData = { readonly connection: WebSocketConnection };
export type WebSocket = Socket<UserData>;
/**
 * Where the engine puts a websocket when it has upgraded it, until it is taken from there. V8 would note the type of an object's field, and
 * allocate for that; it does not for an array.
 */
export type Opened = [ws: WebSocket | undefined];

/** The status code that a close frame has for each cause (RFC 6455, section 7.4.1). */
const closeCodes: Record<Close['cause'], number> = {
	binary: 1003,
	receive_only: 1008,
	too_long: 1009,
	rate: 1008,
	flood: 1008,
	fault: 1011,
	operator: 1000,
	moved: 1012,
	age: 1012,
	expired: 1008,
	publish_refused: 1008,
	relay: 1012,
	stopping: 1012,
};

// A subscriber that is catching up is subscribed to this topic instead of its channel's. Without any topic it would lose the messages
// that were published in the same tick, on uWebSockets.js 20.30 (20.57 sends them). The topics of channels are numbers.
const catchingUpTopic = 'catching up';

/** What a websocket may still send, with `--max-rate`. Pongs that answer our pings must not cost it a message. */
export type Allowances = { readonly messages: Allowance; readonly pongs: Allowance };

/** What holds for a websocket while it is open. Most websockets share one, as every field costs each of them memory. */
export type Terms = {
	readonly grant: Grant;
	readonly allowances: Allowances | undefined;
	/** What the handshake tells of the client, where the log or a callback needs it. */
	readonly party: Party | undefined;
	/** Undefined unless it speaks pathcast.groups.v1. */
	readonly groups: GroupSet | undefined;
	/** The client's address, as its socket has it. */
	readonly addressOf: (ws: WebSocket) => string;
};

export class WebSocketConnection implements GroupConnection {
	readonly id: number;
	readonly terms: Terms;
	place: number | undefined;
	subscription: Subscription | undefined;
	closeCause: CloseCause | undefined;
	/** Undefined before it opens, and after it has closed: the engine throws then. */
	#ws: WebSocket | undefined;

	constructor(id: number, terms: Terms) {
		this.id = id;
		this.terms = terms;
		this.place = undefined;
		this.subscription = undefined;
		this.closeCause = undefined;
		this.#ws = undefined;
	}

	get grant(): Grant {
		return this.terms.grant;
	}

	get groups(): GroupSet | undefined {
		return this.terms.groups;
	}

	opened(ws: WebSocket): void {
		this.#ws = ws;
		// A connection without channels needs a topic too: see catchingUpTopic.
		if (this.groups !== undefined) ws.subscribe(catchingUpTopic);
	}

	closed(): void {
		this.#ws = undefined;
		this.groups?.closed(this);
	}

	attach(subscription: Subscription): boolean {
		if (this.#ws === undefined) return false;
		if (this.groups !== undefined) return this.#ws.subscribe(this.groups.envelopes.attach(subscription));
		const isAttached = this.#ws.subscribe(subscription.channel.topic);
		this.#leaveCatchingUp(this.#ws);
		return isAttached;
	}

	#leaveCatchingUp(ws: WebSocket): void {
		for (let subscription = this.subscription; subscription !== undefined; subscription = subscription.sibling) {
			if (subscription.position !== undefined) ws.unsubscribe(catchingUpTopic);
		}
	}

	detach(subscription: Subscription): void {
		if (this.#ws === undefined) return;
		const topic = this.groups === undefined ? subscription.channel.topic : this.groups.envelopes.detach(subscription);
		// In this order: see catchingUpTopic.
		this.#ws.subscribe(catchingUpTopic);
		if (topic !== undefined) this.#ws.unsubscribe(topic);
	}

	send(message: Message, subscription: Subscription): boolean {
		const bytes = this.groups?.envelopes.envelopeFor(subscription, message) ?? message.bytes;
		return this.#ws?.send(bytes, message.isBinary) === 1;
	}

	tell(text: string, isBinary = false): void {
		this.#ws?.send(text, isBinary);
	}

	caughtUp(): void {
		this.groups?.caughtUp();
	}

	/** Sends the first message, when the connection has opened. */
	greet(message: Message): void {
		if (this.subscription === undefined) return;
		// Without any topic, 16 KB and more can corrupt the stream (20.30). Its channel may have to send earlier messages first.
		if (!this.subscription.isReached) this.#ws?.subscribe(catchingUpTopic);
		this.send(message, this.subscription);
	}

	gather(write: () => void): void {
		this.#ws?.cork(write);
	}

	unreadBytes(): number {
		return this.#ws?.getBufferedAmount() ?? 0;
	}

	address(): string {
		const { party, addressOf } = this.terms;
		return party?.ip ?? (this.#ws === undefined ? '' : addressOf(this.#ws));
	}

	end({ cause, reason }: Close): void {
		this.closeCause ??= cause;
		this.#ws?.end(closeCodes[cause], reason);
	}

	drop(cause: DropCause): void {
		this.closeCause ??= cause;
		this.#ws?.close();
	}
}
