// The time at which the server may write to a websocket that it is reading from.

/**
 * Gives a function that calls its argument at once, or over TLS in a later turn. When a handler writes, the engine (20.30 and 20.57) loses
 * the bytes that it has read and not yet decrypted, and then closes the connection. Such bytes are left when a client sends more than
 * 512 KiB at once.
 */
export function afterRead(isTls: boolean): (act: () => void) => void {
	return isTls ? (act) => void setImmediate(act) : (act) => act();
}
