// What a websocket may send: the rules of a message, and the close frame that answers what breaks them.

/** Why a message is answered by a close frame: its code (RFC 6455, section 7.4.1) and a reason of at most 123 bytes. */
export type MessageRefusal = {
	readonly cause: 'binary' | 'flood' | 'rate' | 'receive_only' | 'too_long';
	readonly code: number;
	readonly reason: string;
};

export type MessageRuleParts = {
	readonly allowsBinary: boolean;
	readonly allowsPublish: boolean;
	readonly messageBytesMax: number;
};

export function messageRules({ allowsPublish, allowsBinary, messageBytesMax }: MessageRuleParts) {
	const receiveOnly: MessageRefusal = {
		cause: 'receive_only',
		code: 1008,
		reason: 'websockets only receive here; publish by POST (--client-publish none)',
	};
	const textOnly: MessageRefusal = {
		cause: 'binary',
		code: 1003,
		reason: 'only text messages are accepted here (--binary is off)',
	};
	const tooLong: MessageRefusal = {
		cause: 'too_long',
		code: 1009,
		reason: `a message may take ${messageBytesMax} bytes at most (--max-message)`,
	};
	return (bytes: number, isBinary: boolean): MessageRefusal | undefined => {
		if (!allowsPublish) return receiveOnly;
		if (isBinary && !allowsBinary) return textOnly;
		return bytes > messageBytesMax ? tooLong : undefined;
	};
}

export function tooFast(messagesPerSecondMax: number): MessageRefusal {
	return {
		cause: 'rate',
		code: 1008,
		reason: `a websocket may send ${messagesPerSecondMax} messages a second, empty ones and pings included, and as many pongs (--max-rate)`,
	};
}

export const tooMuchAtOnce: MessageRefusal = {
	cause: 'flood',
	code: 1008,
	reason: 'too many messages at once: send the next ones when some of these have come back',
};
