// When the server may write to a websocket that it is reading from.

/**
 * Does something at once, or over TLS in a later turn: the engine (20.30 and 20.57) loses what it has read and not yet decrypted when a
 * handler writes, and then closes the connection. It has such a rest when a client sends more than 512 KiB at once.
 */
export function afterRead(isTls: boolean): (act: () => void) => void {
	return isTls ? (act) => void setImmediate(act) : (act) => act();
}
