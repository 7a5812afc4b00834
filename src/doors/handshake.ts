// Judges a websocket handshake (RFC 6455, section 4.2.1). The engine itself asks for a key of 24 characters and nothing else.
import { type Headers, hasToken } from './headers.js';
import type { Refused } from './reply.js';

/** Whether a request means to be a websocket handshake, however incomplete. */
export function isHandshake(headers: Headers): boolean {
	return headers.hasWebSocketField === true || hasToken(headers.upgrade, 'websocket');
}

const proxyHint = 'A proxy in front must use HTTP/1.1 and pass the Upgrade and Connection headers.';

/** Why a GET is not a complete handshake; undefined if it is. */
export function handshakeRefusal(headers: Headers): Refused | undefined {
	const version = headers.webSocketVersion;
	if (version !== undefined && version !== '13') return wrongVersion;
	if (!hasToken(headers.upgrade, 'websocket')) return incomplete('no "Upgrade: websocket"');
	if (!hasToken(headers.connection, 'upgrade')) return incomplete('no "Connection: Upgrade"');
	if (!/^[A-Za-z0-9+/]{22}==$/.test(headers.webSocketKey ?? '')) {
		return incomplete('no valid Sec-WebSocket-Key (16 bytes in base64)');
	}
	if (version === undefined) return wrongVersion;
	// After the handshake, every byte is a frame.
	if (headers.transferEncoding !== undefined || Number(headers.contentLength ?? 0) > 0) {
		return { status: 400, reason: 'A websocket handshake has no body.' };
	}
	if (headers.webSocketProtocol !== undefined && firstProtocol(headers) === undefined) {
		return { status: 400, reason: 'Sec-WebSocket-Protocol must be a comma-separated list of tokens.' };
	}
	return undefined;
}

/** The subprotocol to answer with: the first offered, so that browsers that insist on one can connect. Empty if none is. */
export function firstProtocol(headers: Headers): string | undefined {
	if (headers.webSocketProtocol === undefined) return '';
	const first = headers.webSocketProtocol
		.split(',')
		.map((item) => item.trim())
		.find((item) => item !== '');
	// RFC 9110, section 5.6.2.
	return first !== undefined && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(first) ? first : undefined;
}

/** For a handshake by any other method (RFC 6455, section 4.1). */
export const handshakeWithoutGet: Refused = { status: 400, reason: 'A websocket handshake must be a GET request.' };

const wrongVersion: Refused = {
	status: 426,
	reason: 'Only websocket version 13 is spoken here (RFC 6455).',
	headers: [
		['Sec-WebSocket-Version', '13'],
		// RFC 9110, section 15.5.22: a 426 names the protocol to upgrade to.
		['Upgrade', 'websocket'],
		['Connection', 'Upgrade'],
	],
};

function incomplete(what: string): Refused {
	return { status: 400, reason: `The websocket handshake has ${what}. ${proxyHint}` };
}
