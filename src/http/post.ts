// POST and PUT: a body in, the same fan-out as a websocket message, the number of subscribers back.
import type { ClientAddress } from '../connections/client-address.js';
import type { InFlight } from '../connections/drain.js';
import type { Log } from '../observe/log.js';
import { type ChannelName, parseChannelName } from '../pubsub/channel-name.js';
import { readBody } from './body.js';
import { answer, type Door, type DoorParts, endsConnection } from './exchange.js';
import { type OriginPolicy, type OriginVerdict, originRefusal } from './origin.js';
import type { Publisher } from './publisher.js';
import { type HeaderLines, type Refused, textReply } from './reply.js';
import type { RequestHead } from './request-head.js';

export type PublishParts = DoorParts & {
	readonly publish: Publisher;
	readonly checkOrigin: OriginPolicy;
	readonly clientAddress: ClientAddress;
	/** The requests whose body is still coming, so that stopping can wait for them. */
	readonly inFlight: InFlight;
	readonly messageBytesMax: number;
	readonly log: Log;
	readonly pathCodePointsMax: number;
};

export function publishDoor(parts: PublishParts): Door {
	const { publish, checkOrigin, clientAddress, inFlight, messageBytesMax, pathCodePointsMax, log } = parts;
	const isDebug = log.isLevelEnabled('debug');

	return (res, head) => {
		const verdict = checkOrigin(head.origin, head.host);
		const name = channelToPublish(head, verdict);
		if (typeof name === 'object') return withHeaders(name, verdict.headers);
		const announcedBytes = head.contentLength === undefined ? undefined : Number(head.contentLength);
		const isLast = endsConnection(head);
		inFlight.begin();
		readBody(
			res,
			{ announcedBytes, bytesMax: messageBytesMax, isLast },
			(body) => {
				inFlight.end();
				answer(res, head, parts, body !== undefined || isLast, () => {
					const result = publish(name, body, head);
					if (typeof result === 'object') return withHeaders(result, verdict.headers);
					if (isDebug) {
						const ip = clientAddress(res.getRemoteAddress(), head.forwardedFor);
						const bytes = body?.byteLength;
						log.debug({ event: 'publish', path: name, ip, origin: head.origin, bytes, subscribers: result }, 'published by POST');
					}
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
		return parseChannelName(head.path, pathCodePointsMax);
	}
}

function withHeaders(refused: Refused, headers: HeaderLines): Refused {
	return { ...refused, headers: [...(refused.headers ?? []), ...headers] };
}
