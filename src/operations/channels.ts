// The operator's view of the channels: which there are, and who is there.
import { type AdminAnswer, type AdminRequest, type Endpoint, json, text } from './admin.js';
import { channelListing, type ListingParts } from './listing.js';

export function channelEndpoints(parts: ListingParts): Endpoint[] {
	const { hub, readName } = parts;

	function show({ path }: AdminRequest): AdminAnswer {
		const name = readName(path.slice('/channels'.length));
		if (typeof name === 'object') return text(name.status, name.reason);
		const channel = hub.find(name);
		if (channel === undefined) return nobody;
		return json(200, { channel: name, subscribers: channel.subscribers, backlog: channel.deferredBytes });
	}

	return [
		{
			methods: ['GET'],
			path: '/channels',
			example: '/channels?prefix=/room/&limit=100',
			help: 'JSON: channels and how many are subscribed to each, page by page: &cursor=… of one page gives the next',
			answer: channelListing(parts),
		},
		{
			methods: ['GET'],
			path: '/channels/',
			example: '/channels/room/1',
			help: 'JSON: how many are subscribed to /room/1, and what waits to be sent; 404 if nobody is',
			answer: show,
		},
	];
}

const nobody = text(404, 'Nobody is subscribed to this channel.');
