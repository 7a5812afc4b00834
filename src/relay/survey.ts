// Asks the servers of a cluster about its slots.
import { type OwnSlots, readSlots, type SlotRange } from './cluster.js';
import type { Link } from './link.js';
import { formatHost, type Host } from './target.js';

// Slots that move one after another leave pauses that are longer than an answer takes.
const turnsMax = 20;

/** The masters that at least one of the servers names, by address. One server alone may know less, because the network cut it off. */
export async function mastersNamedBy(links: readonly Link[]): Promise<Map<string, Host>> {
	const views = await Promise.allSettled(links.map(slotsSeenBy));
	const ranges = views.flatMap((view) => (view.status === 'fulfilled' ? view.value : []));
	return new Map(ranges.map(({ master }) => [formatHost(master), master]));
}

/**
 * The slots of each server by its own account: it serves no others, whatever another server says. If a server has ended subscriptions
 * meanwhile, its answer may be older than that, and all are asked again: without the slot that it has lost since, these subscriptions would
 * be missing from the count, and the connection would be given up.
 */
export async function ownSlotsOf(links: () => readonly Link[]): Promise<OwnSlots<Link>[]> {
	for (let turn = 1; ; turn++) {
		const before = links().map((link) => ({ link, ended: link.ended }));
		const own = await Promise.all(before.map(({ link }) => ownSlots(link)));
		if (turn === turnsMax || before.every(({ link, ended }) => link.ended === ended)) return own;
	}
}

/** None if the server is a replica, or the connection is lost. */
async function ownSlots(link: Link): Promise<OwnSlots<Link>> {
	const none = { link, ranges: [] };
	if (!link.state.isMaster) return none;
	try {
		const ranges = await slotsSeenBy(link);
		return { link, ranges: ranges.filter(({ master }) => formatHost(master) === link.address) };
	} catch {
		return none;
	}
}

async function slotsSeenBy(link: Link): Promise<SlotRange[]> {
	const [host = '', port = '0'] = link.address.split(/:(?=\d+$)/);
	return readSlots(await link.slots(), { host, port: Number(port) });
}
