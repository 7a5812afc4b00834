// Makes a message of a body, and publishes it, by the same rules for POST and PUT and for the operator's listener.
import type { ChannelName } from '../pubsub/channel-name.js';
import { type Message, type Sender, textMessage, trustedMessage } from '../pubsub/message.js';
import type { OrderFailure, Publish, Published } from '../pubsub/order.js';
import type { Body } from './body.js';
import { relayRefusals } from './refusals.js';
import type { HeaderLines, Refused } from './reply.js';
import type { RequestHead } from './request-head.js';

export type PublisherParts = {
	readonly publish: Publish;
	readonly binary: boolean;
	readonly maxMessage: number;
};

export type Publisher = {
	/** The message that a body makes, or why it makes none. The body is undefined if it is longer than a message may be. */
	read(body: Body | undefined, head: Pick<RequestHead, 'contentEncoding' | 'contentType'>, sender: Sender): Message | Refused;
	/**
	 * Publishes a message. Gives the number of its subscribers, or the refusal; or gives undefined, and calls `done` with one of these in a
	 * later turn. An empty message goes nowhere.
	 */
	publish(
		name: ChannelName,
		message: Message,
		head: Pick<RequestHead, 'ifMatch'>,
		done: (result: Published | Refused) => void,
	): Published | Refused | undefined;
};

export function publisher({ publish, binary, maxMessage }: PublisherParts): Publisher {
	const tooLarge: Refused = {
		status: 413,
		cause: 'size',
		reason: `The message is longer than ${maxMessage} bytes (--max-message).`,
	};

	return {
		read(body, { contentEncoding, contentType }, sender) {
			if (contentEncoding !== undefined && contentEncoding.toLowerCase() !== 'identity') return encoded;
			if (body === undefined) return tooLarge;
			if (binary && isOctetStream(contentType)) return trustedMessage(body, true, sender);
			return textMessage(body, sender) ?? notUtf8;
		},
		publish(name, message, { ifMatch }, done) {
			if (ifMatch !== undefined && ifMatch !== '*') return noEntityTags;
			// Without subscribers the message goes nowhere, so that nothing has to be asked before.
			const answerOf = (result: Published | OrderFailure) => {
				if (typeof result === 'string') return relayRefusals[result];
				return ifMatch === '*' && result.subscribers === 0 ? nobodyListens : result;
			};
			const result = publish(name, message, (result) => done(answerOf(result)));
			return result && answerOf(result);
		},
	};
}

/** The header lines with the number of subscribers, and of servers, that a message went to. */
export function countHeaders({ subscribers, nodes }: Published): HeaderLines {
	const lines: [string, string][] = [];
	if (subscribers !== undefined) lines.push(['X-Subscribers', String(subscribers)]);
	if (nodes !== undefined && nodes > 0) lines.push(['X-Nodes', String(nodes)]);
	return lines;
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
