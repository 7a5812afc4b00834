// POST and PUT: a body in, the same fan-out as a websocket message, the number of subscribers back.
import { type ChannelName, parseChannelName } from '../pubsub/channel-name.js';
import { readBody } from './body.js';
import { answer, type Door, type DoorParts, endsConnection } from './exchange.js';
import type { InFlight } from './in-flight.js';
import { type OriginPolicy, type OriginVerdict, originRefusal } from './origin.js';
import type { Publisher } from './publisher.js';
import { type HeaderLines, type Refused, textReply } from './reply.js';
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
	const { publish, checkOrigin, clientAddress, inFlight, events, namesClients, maxMessage, maxPath } = parts;

	return (res, head) => {
		const verdict = checkOrigin(head.origin, head.host);
		const name = channelToPublish(head, verdict);
		if (typeof name === 'object') return withHeaders(name, verdict.headers);
		const announcedBytes = head.contentLength === undefined ? undefined : Number(head.contentLength);
		const isLast = endsConnection(head);
		inFlight.begin();
		readBody(
			res,
			{ announcedBytes, bytesMax: maxMessage, isLast },
			(body) => {
				inFlight.end();
				answer(res, head, parts, body !== undefined || isLast, () => {
					const result = publish(name, body, head);
					if (typeof result === 'object') return withHeaders(result, verdict.headers);
					const ip = namesClients ? clientAddress(res.getRemoteAddress(), head.forwardedFor) : undefined;
					const party = namesClients ? { ip, origin: head.origin } : undefined;
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

function withHeaders(refused: Refused, headers: HeaderLines): Refused {
	return { ...refused, headers: [...(refused.headers ?? []), ...headers] };
}
