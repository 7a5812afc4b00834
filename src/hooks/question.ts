// What the authorisation service is told of a client's request: its header fields, less those that are for this connection or for this
// server alone, and less its own copies of those that are added.

/** A client's request, as the service is told of it. */
export type AskedRequest = {
	readonly action: 'subscribe' | 'publish';
	/** In lower case. */
	readonly method: string;
	/** As it came. */
	readonly path: string;
	readonly query: string;
	/** All header fields, in their order: name, value, name, value. The names are in lower case. */
	readonly fields: readonly string[];
	readonly host: string | undefined;
	readonly connection: string | undefined;
	readonly forwardedFor: string | undefined;
	/** `bearer, TOKEN`, from a client that can set no headers. */
	readonly webSocketProtocol: string | undefined;
	/** The address of the client, and that of the peer, which may be a proxy. Empty on a UNIX socket. */
	readonly client: string;
	readonly peer: string;
};

/** Header fields that name the operator's listener of this server to a service. It is known when the listener is bound. */
export type EndpointFields = () => readonly string[];

export function endpointFields(endpoint: string | undefined, sessionHeader: string): readonly string[] {
	if (endpoint === undefined) return [];
	const isKuiperbelts = sessionHeader.toLowerCase() === 'x-kuiperbelt-session';
	return ['X-Endpoint', endpoint, ...(isKuiperbelts ? ['X-Kuiperbelt-Endpoint', endpoint] : [])];
}

const notAsked = new Set([
	// For this connection alone (RFC 9110, section 7.6.1).
	'connection',
	'keep-alive',
	'proxy-authenticate',
	'proxy-authorization',
	'proxy-connection',
	'te',
	'trailer',
	'transfer-encoding',
	'upgrade',
	// Of the body, which the question does not have, and of the answer.
	'accept-encoding',
	'content-length',
	'expect',
	'host',
	// Those that are added: a client must not be able to forge them.
	'x-endpoint',
	'x-forwarded-for',
	'x-forwarded-host',
	'x-kuiperbelt-endpoint',
	'x-original-action',
	'x-original-method',
	'x-original-uri',
	'x-real-ip',
]);

/** The header fields of the question, or undefined if the client's are malformed. */
export function questionHeaders(request: AskedRequest, endpoint: EndpointFields): string[] | undefined {
	const { action, method, path, query, fields, host, connection, forwardedFor, client, peer } = request;
	const token = bearerToken(request.webSocketProtocol);
	const nominated = new Set(connection?.toLowerCase().split(/[\s,]+/));
	const headers: string[] = [];
	for (let i = 0; i < fields.length; i += 2) {
		const [name = '', value = ''] = [fields[i], fields[i + 1]];
		if (notAsked.has(name) || name.startsWith('sec-websocket-') || nominated.has(name)) continue;
		if (token !== undefined && name === 'authorization') continue;
		if (!isFieldName.test(name) || !isFieldValue.test(value)) return undefined;
		headers.push(name, bytesOf(value));
	}
	const add = (name: string, value: string | undefined) => {
		if (value !== undefined && value !== '') headers.push(name, bytesOf(value));
	};
	add('Authorization', token && `Bearer ${token}`);
	add('X-Original-URI', inAscii(query === '' ? path : `${path}?${query}`));
	add('X-Original-Method', method.toUpperCase());
	add('X-Original-Action', action);
	add('X-Real-IP', client);
	add('X-Forwarded-For', [forwardedFor, peer].filter((address) => address !== undefined && address !== '').join(', '));
	add('X-Forwarded-Host', host);
	headers.push(...endpoint());
	return headers;
}

/** A URL's path or query, in the characters that a request line may have (RFC 9112, section 3). */
export function inAscii(text: string): string {
	return text.replace(/[^\x21\x22\x24-\x7e]+/gu, encodeURIComponent);
}

/**
 * The token of a client that offers the subprotocols `bearer` and the token: browsers cannot set the header fields of a websocket.
 * Undefined if `bearer` is not the first of them.
 */
function bearerToken(webSocketProtocol: string | undefined): string | undefined {
	const [first, token] = webSocketProtocol?.split(',').map((item) => item.trim()) ?? [];
	return first === 'bearer' && token !== '' ? token : undefined;
}

const isFieldName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
// No control characters (RFC 9110, section 5.5).
const isFieldValue = /^[\t -~\u0080-\uffff]*$/;

/** The bytes of a text in UTF-8, each as the character of that number, as HTTP clients take them. */
function bytesOf(text: string): string {
	return isAscii.test(text) ? text : Buffer.from(text).toString('latin1');
}

const isAscii = /^[\t -~]*$/;
