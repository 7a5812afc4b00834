// The operator's endpoints for channels: list them, count their subscribers, publish to them, and close them.

import { countHeaders, type Publisher } from '../http/publisher.js';
import { isRefused, type Refused } from '../http/reply.js';
import type { Events } from '../observe/events.js';
import type { Log } from '../observe/log.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Published } from '../pubsub/order.js';
import type { CloseByName } from './closing.js';
import { type Endpoint, json, type OperatorAnswer, type OperatorRequest, text } from './endpoint.js';
import { channelListing, type ListingParts } from './listing.js';
import { publishedBy } from './publishing.js';
import { bodyHead, readRequestBody } from './request-body.js';
import { scopeOf } from './scope.js';

function refusal({ status, reason, headers = [] }: Refused): OperatorAnswer {
	return text(status, reason, Object.fromEntries(headers));
}

export type ChannelParts = ListingParts & {
	readonly maxMessage: number;
	readonly publisher: Publisher;
	readonly closeByName: CloseByName;
	/** Hears of messages that are published here. Refusals have no line in the log. */
	readonly events: Pick<Events, 'published'>;
	readonly onPublishRefused: (cause: string) => void;
	readonly log: Log;
};

export function channelEndpoints(parts: ChannelParts): Endpoint[] {
	const { hub, readName, maxMessage, publisher, closeByName, isShared, events, onPublishRefused, log } = parts;

	/** Answers for the channel that the path names, if it names one. */
	function forChannel(
		serve: (name: ChannelName, request: OperatorRequest) => OperatorAnswer | Promise<OperatorAnswer>,
		onRefused = ignore,
	) {
		return (request: OperatorRequest) => {
			const name = readName(request.path.slice('/channels'.length));
			if (!isRefused(name)) return serve(name, request);
			onRefused(name.cause);
			return refusal(name);
		};
	}

	function show(name: ChannelName): OperatorAnswer {
		const channel = hub.find(name);
		if (channel === undefined) return isShared ? nobodyHere : nobody;
		const { subscribers, grouped, outbox } = channel;
		const backlog = outbox?.deferredBytes ?? 0;
		return json(200, { ...scopeOf(isShared), channel: name, subscribers, grouped, backlog });
	}

	async function post(name: ChannelName, { req }: OperatorRequest): Promise<OperatorAnswer> {
		const body = await readRequestBody(req, maxMessage);
		const published = await publishBody(name, body, req);
		if ('cause' in published) return refusal(published);
		return text(200, 'OK', Object.fromEntries(countHeaders(published)));
	}

	async function close(name: ChannelName, { req }: OperatorRequest): Promise<OperatorAnswer> {
		const body = await readRequestBody(req, maxMessage);
		if (!isShared && hub.find(name) === undefined) return nobody;
		const publishing = publishBody(name, body, req);
		if ('cause' in publishing) return refusal(publishing);
		// In this turn: nothing that is published here later may come between the body and the close.
		const closing = closeByName(name);
		const published = await publishing;
		if ('cause' in published) return refusal(published);
		const closed = await closing;
		if ('cause' in closed) return refusal(closed);
		log.info({ event: 'delete', path: name, subscribers: closed.closed, nodes: closed.nodes }, 'the operator closed a channel');
		return closed.nodes === 0 ? nobody : json(200, { ...scopeOf(isShared), ...closed });
	}

	/** Publishes in this turn, whenever the result comes. */
	function publishBody(
		name: ChannelName,
		body: Buffer | undefined,
		{ headers }: OperatorRequest['req'],
	): Published | Refused | Promise<Published | Refused> {
		const message = publisher.read(body, bodyHead(headers), 'server');
		const tell = (result: Published | Refused) => {
			if ('cause' in result) onPublishRefused(result.cause);
			else events.published('operator', name, body?.byteLength ?? 0, result, undefined);
			return result;
		};
		if ('cause' in message) return tell(message);
		const result = publishedBy(publisher, name, message, { ifMatch: headers['if-match'] });
		return result instanceof Promise ? result.then(tell) : tell(result);
	}

	const one = { path: '/channels/', example: '/channels/room/1' };
	return [
		{
			methods: ['GET'],
			path: '/channels',
			example: '/channels?prefix=/room/&limit=100',
			help: 'JSON: channels and how many are subscribed to each, page by page: &cursor=… of one page gives the next',
			answer: channelListing(parts),
		},
		{
			...one,
			methods: ['GET'],
			help: 'JSON: how many are subscribed to /room/1, how many of them may have other channels too (--groups), and what waits to be sent; 404 if nobody is',
			answer: forChannel(show),
		},
		{
			...one,
			methods: ['POST', 'PUT'],
			help: 'publishes the body to /room/1, as a POST on the public side does',
			answer: forChannel(post, onPublishRefused),
		},
		{
			...one,
			methods: ['DELETE'],
			help: 'publishes the body, if there is one, and closes the websockets (1000) and event streams of /room/1 after it; JSON: how many',
			answer: forChannel(close, onPublishRefused),
		},
	];
}

const nobodyHere = text(404, 'Nobody is subscribed to this channel on this server; other servers share it (--relay).');
const nobody = text(404, 'Nobody is subscribed to this channel.');
const ignore = (_cause: string) => {};
