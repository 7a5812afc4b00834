// Deviations of the engines from RFC 6455 that more than one row has.
import type { Deviation } from './conversation.js';
import { close } from './frames.js';

/** The connection ends where a close frame should come first. */
export const noCloseFrame: Deviation = {
	instead: ({ comes }) => ({ comes: comes.filter((item) => !item.startsWith('close ')) }),
	says: 'The connection ends without a close frame: the client sees 1006. Nothing of it was published, and no other connection was touched.',
};

/** The engine takes what it should refuse. */
export function lenient(says: string): Deviation {
	return { instead: ({ lenient: comes = [] }) => ({ comes }), says };
}

/** The engine answers by a close frame without a code. */
export function closeWithoutCode(says: string): Deviation {
	return { instead: ({ comes }) => ({ comes: comes.map((item) => (item.startsWith('close ') ? close() : item)) }), says };
}
