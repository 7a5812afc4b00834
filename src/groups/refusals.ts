// Why a frame of a client is refused, and what the client is told.
import { isUtf8 } from 'node:buffer';
import type { PathRefusal } from '../http/admission.js';
import type { RefusalCause } from '../http/reply.js';
import { pathOf } from '../pubsub/channel-name.js';

export type Refusal = {
	/** As the client wrote it; undefined if no single path is to blame. */
	readonly path: string | undefined;
	readonly cause: RefusalCause;
	/** As HTTP has it. */
	readonly status: number;
	readonly reason: string;
};

// A page that changes what it shows needs a few. Each may ask the authorisation service about every channel.
export const changesPerSecond = 10;

export function pathRefused({ path, refused }: PathRefusal): Refusal {
	const { status, cause, reason, body } = refused;
	// What is not UTF-8 would end the connection.
	const isText = body !== undefined && isUtf8(body);
	return { path: pathOf(path), status, cause, reason: isText ? Buffer.from(body).toString() : reason };
}

export function malformed(reason: string): Refusal {
	return refusal(400, reason);
}

export function tooManyChannels(maxGroups: number): Refusal {
	return refusal(413, `A connection may have ${maxGroups} channels at most (--max-groups).`);
}

export const tooManyChanges = refusal(
	429,
	`A connection may change its channels ${changesPerSecond} times a second: name more channels in one change, or try again in a second.`,
);

export function notSubscribed(path: string): Refusal {
	return refusal(403, 'This connection is not subscribed to this channel: subscribe to it, and publish after the answer.', path);
}

export function receiveOnly(path: string): Refusal {
	return refusal(403, 'This connection may only receive on this channel.', path);
}

function refusal(status: number, reason: string, path?: string): Refusal {
	return { path, cause: 'groups', status, reason };
}
