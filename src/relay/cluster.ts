// The slots of a cluster: that of a channel, and what a node says about its own.
import type { Host } from './target.js';

export const slotCount = 16_384;

/** Slots from one to another, both included, and the master that serves them. */
export type SlotRange = { readonly from: number; readonly to: number; readonly master: Host };

/** Reads the answer to CLUSTER SLOTS. `asked` is the host that gave it: a node that does not know its own address leaves it out. */
export function readSlots(answer: unknown, asked: Host): SlotRange[] {
	return (answer as readonly (readonly unknown[])[]).map(([from, to, master]) => {
		const [host, port] = master as readonly unknown[];
		const isKnown = typeof host === 'string' && host !== '' && host !== '?';
		return {
			from: Number(from),
			to: Number(to),
			master: { host: isKnown ? host : asked.host, port: Number(port) },
		};
	});
}

/** The slots that a server serves by its own account. */
export type OwnSlots<Link> = { readonly link: Link; readonly ranges: readonly SlotRange[] };

/**
 * The server of each slot. While a slot moves, two servers may claim it. Then the server that had the slot `before` keeps it, until that
 * server gives it up. If neither had the slot before, it has no server for now, because other nodes may still publish at either.
 */
export function ownersOf<Link>(own: readonly OwnSlots<Link>[], before: readonly (Link | undefined)[]): (Link | undefined)[] {
	const owners: (Link | undefined)[] = new Array(slotCount).fill(undefined);
	const claimed = new Set<number>();
	for (const { link, ranges } of own) {
		for (const { from, to } of ranges) {
			for (let slot = from; slot <= to; slot++) {
				if (!claimed.has(slot) || before[slot] === link) owners[slot] = link;
				else if (owners[slot] !== before[slot]) owners[slot] = undefined;
				claimed.add(slot);
			}
		}
	}
	return owners;
}

/**
 * The slot of a channel, by the cluster specification of Redis: the CRC-16 of the text between its first `{` and the first `}` after it,
 * or of the whole name if that text is empty or missing. The package cluster-key-slot 1.1.1 takes a later `}` after `{}`, which gives
 * another slot than Redis, and clients choose the names.
 */
export function slotOf(channel: Buffer): number {
	const from = channel.indexOf(0x7b) + 1;
	const to = from === 0 ? -1 : channel.indexOf(0x7d, from);
	return crc16(to > from ? channel.subarray(from, to) : channel) % slotCount;
}

/** CRC-16/XMODEM. */
function crc16(bytes: Buffer): number {
	let crc = 0;
	for (const byte of bytes) crc = ((crc << 8) & 0xffff) ^ (crcTable[(crc >> 8) ^ byte] as number);
	return crc;
}

const crcTable = Uint16Array.from({ length: 256 }, (_, byte) => {
	let crc = byte << 8;
	for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
	return crc & 0xffff;
});
