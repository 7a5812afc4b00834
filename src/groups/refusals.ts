// Why a frame of a client is refused, or closes the connection, and what the client is told.
import { isUtf8 } from 'node:buffer';
import type { PathRefusal } from '../http/admission.js';
import type { RefusalCause } from '../http/reply.js';
import { type ChannelName, pathOf } from '../pubsub/channel-name.js';
import type { Close } from '../pubsub/close.js';

export type FrameRefusal = {
	/** Percent-encoded, or as the client wrote it if it is malformed; undefined if no single path is to blame. */
	readonly path: string | undefined;
	readonly cause: RefusalCause;
	/** As HTTP has it. */
	readonly status: number;
	readonly reason: string;
};

// A page needs a few changes a second. Each change may ask the authorisation service about every channel.
export const changesPerSecond = 10;

export function refusalOf({ path, refused }: PathRefusal): FrameRefusal {
	const { status, cause, reason, body } = refused;
	// Clients close the connection when a text frame is not UTF-8.
	const isText = body !== undefined && isUtf8(body);
	return { path: pathOf(path), status, cause, reason: isText ? Buffer.from(body).toString() : reason };
}

export function malformed(reason: string): FrameRefusal {
	return refusal(400, reason);
}

export function tooManyChannels(maxGroups: number): FrameRefusal {
	return refusal(413, `A connection may have ${maxGroups} channels at most (--max-groups).`);
}

export const tooManyChanges = refusal(
	429,
	`A connection may change its channels ${changesPerSecond} times a second: name more channels in one change, or try again in a second.`,
);

export function notSubscribed(name: ChannelName): FrameRefusal {
	const reason = 'This connection is not subscribed to this channel: subscribe to it, and publish after the answer.';
	return refusal(403, reason, pathOf(name));
}

export function receiveOnly(name: ChannelName): FrameRefusal {
	return refusal(403, 'This connection may only receive on this channel.', pathOf(name));
}

function refusal(status: number, reason: string, path?: string): FrameRefusal {
	return { path, cause: 'groups', status, reason };
}

export const tooManyWaiting: Close = {
	cause: 'flood',
	reason: 'too many changes at once: send the next one when the ones before have been answered',
};
