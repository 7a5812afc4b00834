// Turns bytes that came in into a message, or says why they are none. Knows nothing of frames and HTTP.
import { isUtf8 } from 'node:buffer';

declare const messageBrand: unique symbol;

/** Non-empty bytes within the size limit; text is valid UTF-8. A view: valid until the handler that made it returns. */
export type Message = { readonly bytes: ArrayBuffer | Uint8Array; readonly isBinary: boolean; readonly [messageBrand]: true };

/** A text message from bytes that the engine has already checked for UTF-8, or a binary one, which needs no check. */
export function trustedMessage(bytes: ArrayBuffer | Uint8Array, isBinary: boolean): Message {
	return { bytes, isBinary } as Message;
}

/** The bytes of a message, to be kept: the engine takes its own back when the handler returns. */
export function copyOf(bytes: ArrayBuffer | Uint8Array): Uint8Array {
	return Buffer.from(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes);
}

/** A text message from unchecked bytes. Undefined if they are not UTF-8: published as text they would kill their receivers. */
export function textMessage(bytes: ArrayBuffer | Uint8Array): Message | undefined {
	return isUtf8(bytes) ? trustedMessage(bytes, false) : undefined;
}
