// Judges a websocket handshake (RFC 6455, section 4.2.1). The engine itself asks for a key of 24 characters and nothing else.
import type { Refused } from './reply.js';
import { hasBody, hasToken, type RequestHead } from './request-head.js';

/** Whether a request is meant as a websocket handshake, even if it is incomplete. */
export function isHandshake(head: RequestHead): boolean {
	return head.hasWebSocketField || hasToken(head.upgrade, 'websocket');
}

const proxyHint = 'A proxy in front must use HTTP/1.1 and pass the Upgrade and Connection headers.';

/** The subprotocol of connections with several channels: see groups/wire.ts. */
export const groupsProtocol = 'pathcast.groups.v1';

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
	if (offeredProtocols(head).every((protocol) => isToken.test(protocol))) return undefined;
	return badHandshake('Sec-WebSocket-Protocol must be a comma-separated list of tokens.');
}

/**
 * The subprotocol to answer with: groupsProtocol if it is offered and spoken here, else the first of the others, so that browsers that
 * insist on one can connect. Empty if none is offered. A client that offers groupsProtocol alone, which is not spoken here, is refused.
 */
export function chosenProtocol(head: RequestHead, hasGroups: boolean): string | Refused {
	const offered = offeredProtocols(head);
	if (hasGroups && offered.includes(groupsProtocol)) return groupsProtocol;
	return offered.find((protocol) => protocol !== groupsProtocol) ?? (offered.length === 0 ? '' : noGroups);
}

/**
 * The token of a client that offers the subprotocols `bearer` and the token: browsers cannot set the header fields of a websocket. Undefined
 * if `bearer` is not the first, groupsProtocol aside.
 */
export function bearerToken(head: RequestHead): string | undefined {
	const [first, token] = offeredProtocols(head).filter((protocol) => protocol !== groupsProtocol);
	return first === 'bearer' ? token : undefined;
}

/** RFC 9110, section 5.6.1: empty elements of a list count for nothing. A field without any element is malformed. */
function offeredProtocols({ webSocketProtocol }: RequestHead): readonly string[] {
	if (webSocketProtocol === undefined) return [];
	const items = webSocketProtocol.split(',').map((item) => item.trim());
	const offered = items.filter((item) => item !== '');
	return offered.length > 0 ? offered : items;
}

// RFC 9110, section 5.6.2.
const isToken = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

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

const noGroups = badHandshake(`${groupsProtocol} is not spoken here: start the server with --groups.`);

function badHandshake(reason: string): Refused {
	return { status: 400, cause: 'handshake', reason };
}
