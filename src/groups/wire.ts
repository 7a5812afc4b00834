// The frames of the subprotocol pathcast.groups.v1: a head, a blank line, a body. The body is never parsed. Knows no network.
import { type ChannelName, isSession, pathOf } from '../pubsub/channel-name.js';
import type { Message, Sender } from '../pubsub/message.js';
import type { FrameRefusal } from './refusals.js';

/** The longest head that a client may send. A thousand channels with short paths, or some hundred with long ones, fit. */
export const headBytesMax = 65_536;

/** A frame of a client that changes its channels. `list` has the paths as the client wrote them: see pathsIn. */
export type ChangeFrame = { readonly command: 'subscribe' | 'add' | 'remove'; readonly list: string };
/** A frame of a client that publishes a message. */
export type PublishFrame = { readonly command: 'publish'; readonly path: string; readonly body: Uint8Array };
export type Command = (ChangeFrame | PublishFrame)['command'];

// No C1 controls and no U+2028 or U+2029: a refusal repeats the path, and some clients end a line there.
const isPrintable = /^[ -~\u00a0-\u2027\u202a-\u{10ffff}]*$/u;

/** Reads a frame, whose body is a view of its bytes, or says what is wrong with it. */
export function readFrame(bytes: ArrayBuffer): ChangeFrame | PublishFrame | string {
	const all = Buffer.from(bytes);
	const blank = all.indexOf('\n\n');
	if ((blank < 0 ? all.length : blank) > headBytesMax) return `The head of a frame takes at most ${headBytesMax} bytes.`;
	const head = all.toString('utf8', 0, blank < 0 ? all.length : blank).replace(/\n$/, '');
	if (!isPrintable.test(head))
		return 'The head of a frame is one line that ends with LF, without CR or another control character.';
	const [, command, list = ''] = /^(subscribe|add|remove|publish):(.*)$/.exec(head) ?? [];
	const body = blank < 0 ? undefined : new Uint8Array(bytes, blank + 2);
	switch (command) {
		case 'subscribe':
		case 'add':
		case 'remove':
			if (body !== undefined && body.length > 0) return `A frame "${command}:" takes no body.`;
			return { command, list };
		case 'publish': {
			if (body === undefined) return 'A blank line must stand between "publish: /path" and the message.';
			const path = /^ *([^ ]+) *$/.exec(list)?.[1];
			return path === undefined ? 'A message is published to one path: "publish: /path".' : { command, path, body };
		}
		default:
			return 'A frame begins with "subscribe:", "add:", "remove:" or "publish:", and paths.';
	}
}

/** The paths of a list, one by one: a client may send tens of thousands. */
export function* pathsIn(list: string): Iterable<string> {
	for (const [path] of list.matchAll(/[^ ]+/g)) yield path;
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
export function refusedFrame({ path = '', status, reason }: FrameRefusal, command: Command | undefined): string {
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
	// The three writes below fill it. A sender is ASCII.
	const frame = Buffer.allocUnsafe(head.length + from.length + bytes.byteLength);
	frame.set(head, 0);
	frame.write(from, head.length, 'latin1');
	frame.set(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes, head.length + from.length);
	return frame;
}

// A session may be a number, or a name that a user chose, so it could look like another sender.
const isAmbiguous = /^(\d+|server|post|relay|".*)$/;

/** The sender of a message. A session that could be taken for another kind of sender stands in quotes. */
function spelled(sender: Sender): string {
	if (typeof sender !== 'object') return String(sender);
	return isAmbiguous.test(sender.name) ? `"${sender.name}"` : sender.name;
}
