// The frames of a client that may have several channels: changes go to its set, messages to the caller, and the rest is refused.
import type { Grant } from '../connections/connection.js';
import type { Channel } from '../pubsub/channel.js';
import { parseWrittenPath } from '../pubsub/channel-name.js';
import type { GroupSet } from './group-set.js';
import { type FrameRefusal, malformed, notSubscribed, receiveOnly } from './refusals.js';
import { type PublishFrame, readFrame } from './wire.js';

export type IncomingParts = {
	readonly maxPath: number;
	/** Calls its argument when the engine has handed over everything that it has read: see afterRead. */
	readonly answerLater: (act: () => void) => void;
};

/** A message that a client may publish on a channel to which it is subscribed. */
export type GroupMessage = { readonly channel: Channel; readonly grant: Grant; readonly body: Uint8Array };

/** Takes a frame of a client. Gives its message, if it is one that may be published. */
export function takeFrame(set: GroupSet, bytes: ArrayBuffer, { maxPath, answerLater }: IncomingParts): GroupMessage | undefined {
	const frame = readFrame(bytes);
	if (typeof frame === 'object' && frame.command !== 'publish') {
		answerLater(() => set.guard(() => set.takeChange(frame)));
		return undefined;
	}
	const isMalformed = typeof frame === 'string';
	const message = isMalformed ? malformed(frame) : messageOf(frame, set, maxPath);
	if (!('cause' in message)) return message;
	answerLater(() => set.guard(() => set.refuse(message, isMalformed ? undefined : 'publish')));
	return undefined;
}

/** The message of a frame, or why it may not be published. */
function messageOf({ path, body }: PublishFrame, set: GroupSet, maxPath: number): GroupMessage | FrameRefusal {
	const name = parseWrittenPath(path, maxPath);
	if (typeof name !== 'string') return { ...name, path };
	const granted = set.subscriptions().get(name);
	// A channel that is being closed has its last message.
	if (granted === undefined || granted.subscription.channel.isClosing) return notSubscribed(name);
	const { subscription, grant } = granted;
	return grant.mayPublish ? { channel: subscription.channel, grant, body } : receiveOnly(name);
}
