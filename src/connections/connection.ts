// What is known of a websocket from its upgrade to its close, and why it ended.
import type { Socket } from '../engine.js';
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Waiter } from '../pubsub/shared-backlog.js';
import type { Allowance } from './allowance.js';

/** What hangs on each websocket. The engine copies it onto the socket, so its fields are plain. */
export type Subscriber = {
	readonly name: ChannelName;
	/** Where the open websockets have it; undefined before it opens, and after it has closed. */
	place: number | undefined;
	/** From upgrade to close; undefined if it could not be opened. */
	channel: Channel | undefined;
	/** Whether the fan-out reaches it. */
	isAdmitted: boolean;
	/** Its turn in its channel's backlog, if it has fallen behind. */
	waiter: Waiter | undefined;
	/** The close frame that it is to get when it has caught up, if it is on its way out. */
	farewell: { readonly code: number; readonly reason: string } | undefined;
	/** What it may still send, with `--max-rate`. */
	readonly allowance: Allowance | undefined;
	/** The same for pongs: those that answer our pings must not cost it a message. */
	readonly pongAllowance: Allowance | undefined;
	/** How many farewells had begun when it opened. */
	readonly wave: number;
	/** When its time is up, as performance.now() tells it; undefined for never. */
	readonly expiresMs: number | undefined;
	/** Why we close it, once we do. */
	disconnectCause: DisconnectCause | undefined;
	/** For the log alone. The address is kept where it could not be found out later. */
	readonly ip: string | undefined;
	readonly seen: { readonly conn: number; readonly origin: string | undefined } | undefined;
};

/**
 * Why a websocket ended: the label in the metrics. `lost` is a connection that ended without a close frame, `slow` one that
 * could not keep up, `memory` one whose backlog was among the largest when memory was short, `flood` one that
 * sent too much at once.
 */
export const disconnectCauses = [
	'client',
	'lost',
	'slow',
	'memory',
	'binary',
	'receive_only',
	'too_long',
	'rate',
	'flood',
	'fault',
	'operator',
	'moved',
	'age',
	'stopping',
] as const;
export type DisconnectCause = (typeof disconnectCauses)[number];

/** Drops a websocket that does not keep up: a close frame would wait behind what it does not read. */
export function dropLaggard(ws: Socket<Subscriber>, cause: 'slow' | 'memory'): void {
	ws.getUserData().disconnectCause ??= cause;
	ws.close();
}

/** What the log says of it, at `debug`. */
export function seenBy({ seen, ip }: Subscriber, { name, subscribers }: Channel) {
	return { ...seen, ip, path: name, subscribers };
}
