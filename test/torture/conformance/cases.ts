// Cases and answers that several files of rows use: refusals of a connection, and bytes in pieces.
import type { Case } from './conversation.js';
import { close, end, frame, type Item } from './frames.js';

/** The server fails the connection (RFC 6455, section 7.1.7), with the code for its reason. */
export const protocolError: readonly Item[] = [close(1002), end];
export const notUtf8: readonly Item[] = [close(1007), end];
export const textOnly: readonly Item[] = [close(1003, 'only text messages are accepted here (--binary is off)'), end];
export const tooLong: readonly Item[] = [close(1009, 'a message may take 65536 bytes at most (--max-message)'), end];

/** Frames of which one breaks the protocol, and a text after them, in one read. */
export function fails(...frames: readonly Buffer[]): Case {
	return { sends: [Buffer.concat([...frames, frame('text', 'after')])], comes: protocolError };
}

/** The bytes in two pieces, cut at each place in turn. */
export function cutEverywhere(bytes: Buffer, ...comes: readonly Item[]): Case[] {
	return Array.from({ length: bytes.length - 1 }, (_, i) => ({
		sends: [bytes.subarray(0, i + 1), bytes.subarray(i + 1)],
		comes,
	}));
}

/** The same frames in one read, and each in a read of its own. */
export function inOneReadAndMany(frames: readonly Buffer[], ...comes: readonly Item[]): Case[] {
	return [
		{ sends: [Buffer.concat(frames)], comes },
		{ sends: frames, comes },
	];
}
