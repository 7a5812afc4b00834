// What a websocket may send, and how a message that breaks a rule is answered.
import type { Close } from '../pubsub/close.js';

export type MessageRuleParts = {
	/** Whether any websocket may publish. */
	readonly mayPublish: boolean;
	readonly binary: boolean;
	readonly maxMessage: number;
};

/** Gives why a message is answered by a close frame; undefined if it may be published. */
export type MessageRules = (bytes: number, isBinary: boolean, mayPublish: boolean) => Close | undefined;

export function messageRules({ mayPublish: mayAnyPublish, binary, maxMessage }: MessageRuleParts): MessageRules {
	const receiveOnly: Close = {
		cause: 'receive_only',
		reason: mayAnyPublish
			? 'this websocket may only receive'
			: 'websockets only receive here; publish by POST (--client-publish none)',
	};
	const textOnly: Close = { cause: 'binary', reason: 'only text messages are accepted here (--binary is off)' };
	const tooLong: Close = { cause: 'too_long', reason: `a message may take ${maxMessage} bytes at most (--max-message)` };
	return (bytes, isBinary, mayPublish) => {
		if (!mayPublish) return receiveOnly;
		if (isBinary && !binary) return textOnly;
		return bytes > maxMessage ? tooLong : undefined;
	};
}

export function tooFast(maxRate: number): Close {
	return {
		cause: 'rate',
		reason: `a websocket may send ${maxRate} messages a second, empty ones and pings included, and as many pongs (--max-rate)`,
	};
}

export const tooManyHeld: Close = {
	cause: 'publish_refused',
	reason: 'too many messages wait for the publish hook: send the next ones when some of these have come back',
};

export const tooManyWaiting: Close = {
	cause: 'flood',
	reason: 'too many messages wait for the relay: send the next ones when some of these have come back',
};

export const tooMuchAtOnce: Close = {
	cause: 'flood',
	reason: 'too many messages at once: send the next ones when some of these have come back',
};
