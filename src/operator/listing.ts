// Lists the channels page by page, a few in each tick, so that a million channels never block the loop.
import { randomBytes } from 'node:crypto';
import { isRefused, type Refused } from '../http/reply.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import { json, type OperatorAnswer, type OperatorRequest, text } from './endpoint.js';
import { scopeOf } from './scope.js';

export type ListingParts = {
	readonly hub: Hub;
	/** Whether other servers share the channels. */
	readonly isShared: boolean;
	/** Reads a raw path as the public side does, or says why it names no channel. */
	readonly readName: (path: string) => ChannelName | Refused;
};

const pageDefault = 100;
// A thousand of the longest names make about 8 MB of JSON.
const pageMax = 1_000;
// Less than a millisecond's work, also if a prefix fits none of them.
const placesPerTick = 5_000;

type Query = { readonly prefix: string; readonly limit: number; readonly place: number };

/** `GET /channels?prefix=/room/&limit=100&cursor=…`: a page of channels, and the cursor of the next, or null. */
export function channelListing({ hub, isShared, readName }: ListingParts): (request: OperatorRequest) => Promise<OperatorAnswer> {
	// A cursor is valid in this process only, so it names the process.
	const origin = randomBytes(4).toString('hex');
	const turn = oneATick();

	return async ({ query, req }) => {
		const asked = readQuery(query);
		if (typeof asked === 'string') return text(400, asked);
		const channels: { channel: string; subscribers: number; grouped: number }[] = [];
		let next: number | undefined = asked.place;
		while (next !== undefined && channels.length < asked.limit && !req.socket.destroyed) {
			await turn();
			next = hub.list(next, placesPerTick, ({ name, subscribers, grouped }) => {
				if (!name.startsWith(asked.prefix)) return 'more';
				return channels.push({ channel: name, subscribers, grouped }) === asked.limit ? 'enough' : 'more';
			});
		}
		return json(200, { ...scopeOf(isShared), channels, cursor: next === undefined ? null : `${origin}-${next}` });
	};

	/** What the query asks for, or what is wrong with it. */
	function readQuery(query: string): Query | string {
		const given = parameters(query);
		if (typeof given === 'string') return given;
		const limit = given.get('limit') ?? String(pageDefault);
		if (!/^[0-9]{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > pageMax)
			return `The limit is not a whole number from 1 to ${pageMax}.`;
		const place = placeOf(given.get('cursor'));
		if (place === undefined) return 'The cursor is not one that this process gave: leave it out to begin again.';
		const prefix = readName(given.get('prefix') ?? '/');
		if (isRefused(prefix)) return prefix.reason.replace(/^The path/, 'The prefix');
		return { prefix, limit: Number(limit), place };
	}

	function placeOf(cursor: string | undefined): number | undefined {
		if (cursor === undefined) return 0;
		const [, cursorOrigin, place] = /^([0-9a-f]{8})-([0-9]{1,10})$/.exec(cursor) ?? [];
		return cursorOrigin === origin ? Number(place) : undefined;
	}
}

/** The parameters of the query, percent-encoding untouched, or what is wrong with them. */
function parameters(query: string): Map<string, string> | string {
	const given = new Map<string, string>();
	for (const part of query.split('&').filter((part) => part !== '')) {
		const [name = '', ...value] = part.split('=');
		if (!['prefix', 'limit', 'cursor'].includes(name)) return 'The parameters here are prefix, limit, and cursor.';
		if (given.has(name)) return `The ${name} is given twice: give it once.`;
		// A plus is a space, as forms and query libraries write it.
		given.set(name, value.join('=').replaceAll('+', '%20'));
	}
	return given;
}

/** Gives its callers their turns one by one, each in its own tick, so that many listings cost a tick no more than one. */
function oneATick(): () => Promise<void> {
	let last = Promise.resolve();
	return () => {
		last = last.then(() => new Promise((resolve) => setImmediate(resolve)));
		return last;
	};
}
