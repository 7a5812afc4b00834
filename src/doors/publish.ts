// POST and PUT: a body in, the same fan-out as a websocket message, the number of subscribers back.
import type { Log } from '../operations/log.js';
import type { Metrics } from '../operations/metrics.js';
import { type ChannelName, parseChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import { textMessage, trustedMessage } from '../pubsub/message.js';
import { readBody } from './body.js';
import { answerFault, type Door } from './door.js';
import { handshakeWithoutGet, isHandshake } from './handshake.js';
import type { Headers } from './headers.js';
import { type OriginPolicy, originRefusal } from './origin.js';
import { type Refused, refuse, replyText } from './reply.js';

export type PublishParts = {
	readonly hub: Hub;
	readonly checkOrigin: OriginPolicy;
	readonly allowsBinary: boolean;
	readonly messageBytesMax: number;
	readonly pathCodePointsMax: number;
	readonly metrics: Metrics;
	readonly log: Log;
};

export function publishDoor({
	hub,
	checkOrigin,
	allowsBinary,
	messageBytesMax,
	pathCodePointsMax,
	metrics,
	log,
}: PublishParts): Door {
	const isDebug = log.isLevelEnabled('debug');
	const tooLarge: Refused = {
		status: 413,
		reason: `The message is longer than ${messageBytesMax} bytes (--max-message).`,
	};

	return (res, req, headers) => {
		const path = req.getUrl();
		const verdict = checkOrigin(headers.origin, headers.host, path);
		if (!verdict.isAllowed) return refuse(res, originRefusal, verdict.headers);
		if (isHandshake(headers)) return refuse(res, handshakeWithoutGet, verdict.headers);
		const name = parseChannelName(path, pathCodePointsMax);
		if (typeof name === 'object') return refuse(res, name, verdict.headers);

		readBody(
			res,
			headers.contentLength === undefined ? undefined : Number(headers.contentLength),
			messageBytesMax,
			(body) => {
				try {
					const result = publish(name, body, headers);
					if (typeof result === 'object') refuse(res, result, verdict.headers);
					else replyText(res, 200, 'OK', [['X-Subscribers', String(result)], ...verdict.headers]);
				} catch (error) {
					answerFault(res, error, log);
				}
			},
			() => refuse(res, tooLarge, verdict.headers),
		);
	};

	/** Publishes a body and gives the number of subscribers that it went to, or refuses it and publishes nothing. */
	function publish(name: ChannelName, body: ArrayBuffer | Uint8Array, headers: Headers): number | Refused {
		const message = allowsBinary && isOctetStream(headers.contentType) ? trustedMessage(body, true) : textMessage(body);
		if (message === undefined) return notUtf8;
		const channel = hub.find(name);
		if (headers.ifMatch !== undefined && headers.ifMatch !== '*') return noEntityTags;
		if (headers.ifMatch === '*' && channel === undefined) return nobodyListens;
		const subscribers = channel?.subscribers ?? 0;
		if (body.byteLength === 0) return subscribers;
		metrics.messageReceived('post');
		if (isDebug) log.debug({ event: 'publish', path: name, bytes: body.byteLength, subscribers }, 'published by POST');
		if (channel !== undefined) hub.publish(channel, message);
		return subscribers;
	}
}

const notUtf8: Refused = {
	status: 400,
	reason:
		'The body is not valid UTF-8. Binary messages need the server option --binary and Content-Type: application/octet-stream.',
};
const nobodyListens: Refused = { status: 412, reason: 'Nobody is subscribed to this channel; nothing was published.' };
const noEntityTags: Refused = { status: 412, reason: 'A channel has no entity tags: If-Match can only be *.' };

function isOctetStream(contentType: string | undefined): boolean {
	return contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/octet-stream';
}
