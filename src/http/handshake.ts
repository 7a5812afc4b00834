// Judges a websocket handshake (RFC 6455, section 4.2.1). The engine itself asks for a key of 24 characters and nothing else.
import type { Refused } from './reply.js';
import { hasBody, hasToken, type RequestHead } from './request-head.js';

/** Whether a request is meant as a websocket handshake, even if it is incomplete. */
export function isHandshake(head: RequestHead): boolean {
	return head.hasWebSocketField || hasToken(head.upgrade, 'websocket');
}

const proxyHint = 'A proxy in front must use HTTP/1.1 and pass the Upgrade and Connection headers.';

/** Why a GET is not a complete handshake; undefined if it is. */
export function handshakeRefusal(head: RequestHead): Refused | undefined {
	const version = head.webSocketVersion;
	if (version !== undefined && version !== '13') return wrongVersion;
	if (!hasToken(head.upgrade, 'websocket'))
		return badHandshake(`The websocket handshake has no "Upgrade: websocket". ${proxyHint}`);
	if (!hasToken(head.connection, 'upgrade'))
		return badHandshake(`The websocket handshake has no "Connection: Upgrade". ${proxyHint}`);
	if (!/^[A-Za-z0-9+/]{22}==$/.test(head.webSocketKey ?? '')) {
		return badHandshake(`The websocket handshake has no valid Sec-WebSocket-Key (16 bytes in base64). ${proxyHint}`);
	}
	if (version === undefined) return wrongVersion;
	// After the handshake, every byte is a frame.
	if (hasBody(head)) return badHandshake('A websocket handshake has no body.');
	if (firstProtocol(head) === undefined) return badHandshake('Sec-WebSocket-Protocol must be a comma-separated list of tokens.');
	return undefined;
}

/**
 * The subprotocol to answer with: the first offered, so that browsers that insist on one can connect; empty if none is
 * offered, undefined if what is offered is no list of tokens (RFC 9110, section 5.6.2).
 */
export function firstProtocol({ webSocketProtocol }: RequestHead): string | undefined {
	if (webSocketProtocol === undefined) return '';
	const items = webSocketProtocol.split(',').map((item) => item.trim());
	const first = items.find((item) => item !== '');
	return first !== undefined && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(first) ? first : undefined;
}

/** For a handshake by any other method (RFC 6455, section 4.1). */
export const handshakeWithoutGet: Refused = badHandshake('A websocket handshake must be a GET request.');

const wrongVersion: Refused = {
	status: 426,
	cause: 'handshake',
	reason: 'Only websocket version 13 is spoken here (RFC 6455).',
	headers: [
		['Sec-WebSocket-Version', '13'],
		// RFC 9110, section 15.5.22: a 426 names the protocol to upgrade to.
		['Upgrade', 'websocket'],
		['Connection', 'Upgrade'],
	],
};

function badHandshake(reason: string): Refused {
	return { status: 400, cause: 'handshake', reason };
}
