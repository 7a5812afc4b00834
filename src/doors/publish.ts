// POST and PUT: a body in, the same fan-out as a websocket message, the number of subscribers back.
import type { ClientAddress } from '../operations/client-address.js';
import type { InFlight } from '../operations/drain.js';
import type { Metrics } from '../operations/metrics.js';
import { type ChannelName, parseChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import { textMessage, trustedMessage } from '../pubsub/message.js';
import { type Body, readBody } from './body.js';
import { answer, type Door, type DoorParts } from './door.js';
import { type OriginPolicy, type OriginVerdict, originRefusal } from './origin.js';
import { type HeaderLines, type Refused, replyText } from './reply.js';
import type { RequestHead } from './request-head.js';

export type PublishParts = DoorParts & {
	readonly hub: Hub;
	readonly checkOrigin: OriginPolicy;
	readonly clientAddress: ClientAddress;
	/** The requests whose body is still coming, so that stopping can wait for them. */
	readonly inFlight: InFlight;
	readonly allowsBinary: boolean;
	readonly messageBytesMax: number;
	readonly pathCodePointsMax: number;
	readonly metrics: Metrics;
};

export function publishDoor(parts: PublishParts): Door {
	const { hub, checkOrigin, clientAddress, inFlight, allowsBinary, messageBytesMax, pathCodePointsMax, metrics, log } = parts;
	const isDebug = log.isLevelEnabled('debug');
	const tooLarge: Refused = {
		status: 413,
		cause: 'size',
		reason: `The message is longer than ${messageBytesMax} bytes (--max-message).`,
	};

	return (res, head) => {
		const verdict = checkOrigin(head.origin, head.host);
		const name = channelToPublish(head, verdict);
		if (typeof name === 'object') return withHeaders(name, verdict.headers);
		const announcedBytes = head.contentLength === undefined ? undefined : Number(head.contentLength);
		inFlight.begin();
		readBody(
			res,
			announcedBytes,
			messageBytesMax,
			(body) => {
				inFlight.end();
				answer(res, head, parts, () => {
					const result = body === undefined ? tooLarge : publish(name, body, head);
					if (typeof result === 'object') return withHeaders(result, verdict.headers);
					if (isDebug) {
						const ip = clientAddress(res.getRemoteAddress(), head.forwardedFor);
						const bytes = body?.byteLength;
						log.debug({ event: 'publish', path: name, ip, origin: head.origin, bytes, subscribers: result }, 'published by POST');
					}
					res.writeHeader('X-Subscribers', String(result));
					replyText(res, 200, 'OK', verdict.headers);
					return undefined;
				});
			},
			() => inFlight.end(),
		);
		return undefined;
	};

	/** The channel that a request may publish to, or why it may not. */
	function channelToPublish(head: RequestHead, { isAllowed }: OriginVerdict): ChannelName | Refused {
		if (!isAllowed) return originRefusal;
		return parseChannelName(head.path, pathCodePointsMax);
	}

	/** Publishes a body and gives the number of subscribers that it goes to, or refuses it and publishes nothing. */
	function publish(name: ChannelName, body: Body, { contentType, ifMatch }: RequestHead): number | Refused {
		const message = allowsBinary && isOctetStream(contentType) ? trustedMessage(body, true) : textMessage(body);
		if (message === undefined) return notUtf8;
		const channel = hub.find(name);
		if (ifMatch !== undefined && ifMatch !== '*') return noEntityTags;
		if (ifMatch === '*' && channel === undefined) return nobodyListens;
		const subscribers = channel?.subscribers ?? 0;
		if (body.byteLength === 0) return subscribers;
		metrics.messageReceived('post', body.byteLength);
		if (channel === undefined) metrics.messageUnheard();
		else hub.publish(channel, message);
		return subscribers;
	}
}

const notUtf8: Refused = {
	status: 400,
	cause: 'body',
	reason:
		'The body is not valid UTF-8. Binary messages need the server option --binary and Content-Type: application/octet-stream.',
};
const nobodyListens: Refused = {
	status: 412,
	cause: 'nobody',
	reason: 'Nobody is subscribed to this channel; nothing was published.',
};
const noEntityTags: Refused = { status: 412, cause: 'nobody', reason: 'A channel has no entity tags: If-Match can only be *.' };

function withHeaders(refused: Refused, headers: HeaderLines): Refused {
	return { ...refused, headers: [...(refused.headers ?? []), ...headers] };
}

function isOctetStream(contentType: string | undefined): boolean {
	return contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/octet-stream';
}
