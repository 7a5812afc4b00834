// What a node of a cluster says about its slots.
import type { Host } from './target.js';

export const slotCount = 16_384;

/** Slots from one to another, both included, and the master that serves them. */
export type SlotRange = { readonly from: number; readonly to: number; readonly master: Host; readonly id: string };

/** Reads the answer to CLUSTER SLOTS. `asked` is the host that gave it: a node that does not know its own address leaves it out. */
export function readSlots(answer: unknown, asked: Host): SlotRange[] {
	return (answer as readonly (readonly unknown[])[]).map(([from, to, master]) => {
		const [host, port, id] = master as readonly unknown[];
		const isKnown = typeof host === 'string' && host !== '' && host !== '?';
		return {
			from: Number(from),
			to: Number(to),
			master: { host: isKnown ? host : asked.host, port: Number(port) },
			id: String(id),
		};
	});
}
