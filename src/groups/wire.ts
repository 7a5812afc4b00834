// The frames of the subprotocol pathcast.groups.v1: a head, a blank line, a body. The body is never parsed. Knows no network.
import { type ChannelName, isSession, pathOf } from '../pubsub/channel-name.js';
import type { Message, Sender } from '../pubsub/message.js';
import type { Refusal } from './refusals.js';

/** The longest head that a client may send. A thousand channels with short paths, or some hundred with long ones, fit. */
export const headBytesMax = 65_536;

/** A frame of a client that changes its channels. The paths are as the client wrote them. */
export type ChangeFrame = { readonly command: 'subscribe' | 'add' | 'remove'; readonly paths: readonly string[] };
/** A frame of a client that publishes a message. */
export type PublishFrame = { readonly command: 'publish'; readonly path: string; readonly body: Uint8Array };
export type Command = (ChangeFrame | PublishFrame)['command'];

// Without C1, and the separators of lines and paragraphs, which some clients would take for the end of a line when they stand in an answer.
const isPrintable = /^[ -~\u00a0-\u2027\u202a-\u{10ffff}]*$/u;

/** Reads a frame, whose body is a view of its bytes, or says what is wrong with it. */
export function readFrame(bytes: ArrayBuffer): ChangeFrame | PublishFrame | string {
	const all = Buffer.from(bytes);
	const blank = all.indexOf('\n\n');
	if ((blank < 0 ? all.length : blank) > headBytesMax) return `The head of a frame takes at most ${headBytesMax} bytes.`;
	const head = all.toString('utf8', 0, blank < 0 ? all.length : blank).replace(/\n$/, '');
	if (!isPrintable.test(head))
		return 'The head of a frame is one line that ends with LF, without CR or another control character.';
	const [, command, rest = ''] = /^(subscribe|add|remove|publish):(.*)$/.exec(head) ?? [];
	const paths = rest.split(' ').filter((path) => path !== '');
	const body = blank < 0 ? undefined : new Uint8Array(bytes, blank + 2);
	switch (command) {
		case 'subscribe':
		case 'add':
		case 'remove':
			if (body !== undefined && body.length > 0) return `The frame "${command}:" has no body.`;
			return { command, paths: paths.map(ownCopy) };
		case 'publish':
			if (body === undefined) return 'A blank line must stand between "publish: /path" and the message.';
			if (paths[0] === undefined || paths.length > 1) return 'A message is published to one path: "publish: /path".';
			return { command, path: paths[0], body };
		default:
			return 'A frame begins with "subscribe:", "add:", "remove:" or "publish:", and paths.';
	}
}

/** V8 keeps the whole head for a part of it: a channel would do so for as long as it has that name. */
function ownCopy(path: string): string {
	return Buffer.from(path).toString();
}

/** Tells a client what it is subscribed to now, and what has changed. `reason` is why the server has ended a subscription. */
export function changedFrame(
	current: readonly ChannelName[],
	joined: readonly ChannelName[],
	left: readonly ChannelName[],
	reason?: string,
): string {
	const lines = [field('subscribed', current), field('joined', joined), field('left', left)];
	if (reason !== undefined) lines.push(`reason: ${reason}`);
	return `${lines.join('\n')}\n\n`;
}

function field(name: string, paths: readonly ChannelName[]): string {
	return `${name}: ${paths.map(pathOf).join(' ')}`;
}

/** Tells a client that a frame changes and publishes nothing: which command, if the frame was not malformed, and because of which path. */
export function refusedFrame({ path = '', status, reason }: Refusal, command: Command | undefined): string {
	const line = command === undefined ? '' : `command: ${command}\n`;
	return `refused: ${path}\n${line}status: ${status}\n\n${reason}`;
}

/** The head of every message on a channel, up to its sender. A session has no path. */
export function headOf(alias: ChannelName): Buffer {
	return Buffer.from(`${isSession(alias) ? `session: ${alias}` : `channel: ${pathOf(alias)}`}\nfrom: `);
}

/** A message with its head, and the blank line between. */
export function enveloped(head: Buffer, { bytes, sender }: Message): Buffer {
	const from = `${spelled(sender)}\n\n`;
	// All of it is written below. A sender is ASCII.
	const frame = Buffer.allocUnsafe(head.length + from.length + bytes.byteLength);
	frame.set(head, 0);
	frame.write(from, head.length, 'latin1');
	frame.set(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes, head.length + from.length);
	return frame;
}

// Application servers often name sessions by numbers, or as their users like it.
const isAmbiguous = /^(\d+|server|post|".*)$/;

/** The sender of a message. A session that could be taken for another kind of sender stands in quotes. */
function spelled(sender: Sender): string {
	if (typeof sender !== 'object') return String(sender);
	return isAmbiguous.test(sender.name) ? `"${sender.name}"` : sender.name;
}
