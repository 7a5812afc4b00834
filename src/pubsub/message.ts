// Makes messages of bytes that came in. Knows nothing of frames and HTTP.
import { isUtf8 } from 'node:buffer';
import type { SessionName } from './channel-name.js';

declare const messageBrand: unique symbol;

/**
 * The publisher of a message: the number of a connection, or the name of its session; `server` for the operator's listener and the
 * authorisation service; `post` for a POST or PUT without a session; `relay` for whoever published a message that the relay has brought.
 */
export type Sender = number | { readonly name: SessionName } | 'server' | 'post' | 'relay';

/** Bytes that may be published: text is valid UTF-8. A view, valid until the handler that made it returns. */
export type Message = {
	readonly bytes: ArrayBuffer | Uint8Array;
	readonly isBinary: boolean;
	readonly sender: Sender;
	readonly [messageBrand]: true;
};

/**
 * What a waiting message counts beside its bytes, so that a flood of tiny messages is bounded and paced too. In memory a kept message
 * takes some 200 bytes beside its own.
 */
export const messageOverheadBytes = 64;

/** A text message from bytes that the engine has already checked for UTF-8, or a binary one, which needs no check. */
export function trustedMessage(bytes: ArrayBuffer | Uint8Array, isBinary: boolean, sender: Sender): Message {
	return { bytes, isBinary, sender } as Message;
}

/** A message that may be kept. */
export function keptMessage({ bytes, isBinary, sender }: Message): Message {
	return trustedMessage(copyOf(bytes), isBinary, sender);
}

/** The bytes of a message, to be kept: the engine takes its own back when the handler returns. */
export function copyOf(bytes: ArrayBuffer | Uint8Array): Uint8Array {
	return Buffer.from(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes);
}

/** A text message from unchecked bytes. Undefined if they are not UTF-8: published as text they would kill their receivers. */
export function textMessage(bytes: ArrayBuffer | Uint8Array, sender: Sender): Message | undefined {
	return isUtf8(bytes) ? trustedMessage(bytes, false, sender) : undefined;
}
