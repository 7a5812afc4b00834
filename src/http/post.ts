// POST and PUT: a body in, the same fan-out as a websocket message, the number of subscribers back. The operator's listener publishes
// bodies by the same rules.
import { type ChannelName, parseChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import { textMessage, trustedMessage } from '../pubsub/message.js';
import { type Body, readBody } from './body.js';
import type { Door, DoorParts } from './exchange.js';
import type { InFlight } from './in-flight.js';
import { type OriginPolicy, type OriginVerdict, originRefusal } from './origin.js';
import { isRefused, type Refused, textReply, withHeaders } from './reply.js';
import type { RequestHead } from './request-head.js';

export type PublishParts = DoorParts & {
	readonly publish: Publisher;
	readonly checkOrigin: OriginPolicy;
	/** The requests whose body is still coming, so that stopping can wait for them. */
	readonly inFlight: InFlight;
	/** Whether the log names every client. */
	readonly namesClients: boolean;
	readonly maxMessage: number;
	readonly maxPath: number;
};

export function publishDoor(parts: PublishParts): Door {
	const { publish, checkOrigin, inFlight, events, namesClients, maxMessage, maxPath } = parts;

	return (exchange) => {
		const { head, isLast } = exchange;
		const verdict = checkOrigin(head.origin, head.host);
		const name = channelToPublish(head, verdict);
		if (isRefused(name)) return withHeaders(name, verdict.headers);
		const announcedBytes = head.contentLength === undefined ? undefined : Number(head.contentLength);
		inFlight.begin();
		readBody(
			exchange,
			{ announcedBytes, bytesMax: maxMessage, isLast },
			(body) => {
				inFlight.end();
				exchange.serve(() => {
					const result = publish(name, body, head);
					if (isRefused(result)) return withHeaders(result, verdict.headers);
					const party = namesClients ? { ip: exchange.address(), origin: head.origin } : undefined;
					events.published('post', name, body?.byteLength ?? 0, result, party);
					return textReply(200, 'OK', [['X-Subscribers', String(result)], ...verdict.headers]);
				});
			},
			() => inFlight.end(),
		);
		return undefined;
	};

	/** The channel that a request may publish to, or why it may not. */
	function channelToPublish(head: RequestHead, { isAllowed }: OriginVerdict): ChannelName | Refused {
		if (!isAllowed) return originRefusal;
		return parseChannelName(head.path, maxPath);
	}
}

export type PublisherParts = {
	readonly hub: Hub;
	readonly binary: boolean;
	readonly maxMessage: number;
};

/**
 * Publishes a body and gives the number of subscribers that it goes to, or refuses it and publishes nothing. The body is
 * undefined if it is longer than a message may be.
 */
export type Publisher = (
	name: ChannelName,
	body: Body | undefined,
	head: Pick<RequestHead, 'contentEncoding' | 'contentType' | 'ifMatch'>,
) => number | Refused;

export function publisher({ hub, binary, maxMessage }: PublisherParts): Publisher {
	const tooLarge: Refused = {
		status: 413,
		cause: 'size',
		reason: `The message is longer than ${maxMessage} bytes (--max-message).`,
	};

	return (name, body, { contentEncoding, contentType, ifMatch }) => {
		if (contentEncoding !== undefined && contentEncoding.toLowerCase() !== 'identity') return encoded;
		if (body === undefined) return tooLarge;
		const message = binary && isOctetStream(contentType) ? trustedMessage(body, true) : textMessage(body);
		if (message === undefined) return notUtf8;
		const channel = hub.find(name);
		if (ifMatch !== undefined && ifMatch !== '*') return noEntityTags;
		if (ifMatch === '*' && channel === undefined) return nobodyListens;
		const subscribers = channel?.subscribers ?? 0;
		if (channel !== undefined && body.byteLength > 0) hub.publish(channel, message);
		return subscribers;
	};
}

const notUtf8: Refused = {
	status: 400,
	cause: 'body',
	reason:
		'The body is not valid UTF-8. Binary messages need the server option --binary and Content-Type: application/octet-stream.',
};
const encoded: Refused = {
	status: 415,
	cause: 'body',
	reason: 'The body is compressed or otherwise encoded (Content-Encoding): send it as it is.',
	// RFC 9110, section 15.5.16: the codings that would be accepted.
	headers: [['Accept-Encoding', 'identity']],
};
const nobodyListens: Refused = {
	status: 412,
	cause: 'nobody',
	reason: 'Nobody is subscribed to this channel; nothing was published.',
};
const noEntityTags: Refused = { status: 412, cause: 'nobody', reason: 'A channel has no entity tags: If-Match can only be *.' };

function isOctetStream(contentType: string | undefined): boolean {
	return contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/octet-stream';
}
