// Every event of the server, told once; the log, the metrics and the callbacks listen.
import type { Channel } from '../pubsub/channel.js';
import type { CloseCause, DropCause } from '../pubsub/close.js';
import type { Published } from '../pubsub/order.js';

/** How a message came in: `post` stands for POST and PUT on the public side. */
export type MessageSource = 'websocket' | 'post' | 'operator';

/** What the log and the callbacks say of a client. It costs something to find out, so most events have it only where one of them needs it. */
export type Party = {
	readonly conn?: number;
	readonly ip: string | undefined;
	readonly origin?: string | undefined;
	/** The name that the authorisation service gave the connection. */
	readonly session?: string | undefined;
};

/** What a refused request wanted: to subscribe, to publish, or something else. */
export type RequestAim = 'connect' | 'publish' | 'other';

/** A request that was refused, or whose connection was closed instead of an answer: then it has no status. */
export type RefusedRequest = {
	readonly cause: string;
	readonly status: number | undefined;
	readonly aim: RequestAim;
	readonly path: string;
	readonly origin: string | undefined;
	/** Not called where the address is not needed. */
	readonly ip: () => string;
};

/** What a close frame says. */
export type CloseFrame = { readonly code: number; readonly reason: ArrayBuffer };

/** What the server tells the application by itself. */
export type CallbackHook = 'webhook' | 'close_callback';
/** Whether the application accepted it, or it was given up. */
export type CallbackOutcome = 'sent' | 'dropped';

export type Events = {
	/** A channel has got a subscriber. */
	joined(channel: Channel): void;
	/** A channel has lost a subscriber. */
	left(channel: Channel): void;
	/** A connection with several channels (--groups) has joined and left some, at its request or not. */
	changed(channel: Channel, party: Party, joined: readonly string[], left: readonly string[]): void;
	/** A connection was opened and subscribed. */
	opened(channel: Channel, party: Party | undefined): void;
	/** A second connection was opened with the session of one that is open. */
	sessionShared(session: string, channel: Channel, party: Party | undefined): void;
	/** A question to the authorisation service has ended: how, after how many seconds, and if there was no usable answer, why. */
	questioned(outcome: string, seconds: number, detail: string | undefined, about: { path: string; ip: string }): void;
	/** The publish hook has judged a message: how, and if it gave no usable answer, why. */
	judged(outcome: string, detail: string | undefined, about: { name: string; ip: string; session: string | undefined }): void;
	/**
	 * A connection was closed, by either side. A websocket has the code and the reason of its close frame. Of a connection with several
	 * channels, the channel is the first that it had, here and in `slow`.
	 */
	closed(cause: CloseCause, channel: Channel, party: Party | undefined, frame: CloseFrame | undefined): void;
	/** A message was accepted: how many bytes, and for whom. */
	published(source: MessageSource, path: string, bytes: number, heardBy: Published, party: Party | undefined): void;
	/** An empty websocket message came, and was dropped. */
	keepalive(): void;
	refused(request: RefusedRequest): void;
	/** A subscriber was dropped because it did not keep up. */
	slow(channel: Channel, party: Party, unreadBytes: number, cause: DropCause): void;
	/** A websocket was closed because it sent too much at once. */
	flooded(path: string, party: Party): void;
	/** So many events of a webhook, or close callbacks, were accepted or given up: then with the reason. */
	calledBack(hook: CallbackHook, outcome: CallbackOutcome, count: number, why: string | undefined): void;
	/** A server of the relay serves, or does not any more, and why. */
	relayChanged(state: 'up' | 'away', server: string, why: string | undefined): void;
	/** Channels have missed what the relay published, and their subscribers are closed: how many of both. */
	relayGap(server: string, channels: number, subscribers: number): void;
	/** The relay brought a payload that is not a message, or refused a message, for a channel, and why. */
	relayDropped(path: string, what: 'brought' | 'refused', why: string): void;
	/** A handler threw. */
	fault(error: unknown, fields: object, text: string): void;
};

// An event that is missing here does not compile.
const names = Object.keys({
	joined: true,
	left: true,
	changed: true,
	opened: true,
	sessionShared: true,
	questioned: true,
	judged: true,
	closed: true,
	published: true,
	keepalive: true,
	refused: true,
	slow: true,
	flooded: true,
	calledBack: true,
	relayChanged: true,
	relayGap: true,
	relayDropped: true,
	fault: true,
} satisfies Record<keyof Events, true>) as (keyof Events)[];

/** Tells each event to the listeners that have a method of its name, in their order. */
export function eventsTo(...listeners: readonly Partial<Events>[]): Events {
	return Object.fromEntries(
		names.map((name) => [name, told(listeners.flatMap((listener) => listener[name]?.bind(listener) ?? []))]),
	) as Events;
}

type Listen = (...args: never[]) => void;

function told(listeners: readonly Listen[]): Listen {
	const [first, second] = listeners;
	// Most events have one listener: on the hot path this is one call.
	if (second === undefined) return first ?? (() => {});
	return (...args) => {
		for (const listen of listeners) listen(...args);
	};
}
