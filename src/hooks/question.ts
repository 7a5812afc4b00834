// What the authorisation service is told of a client's request: its header fields, less those that are for this connection or for this
// server alone, and less its own copies of those that are added.

/** The head of a client's request, as the service is told of it. */
export type AskedHead = {
	/** In lower case. */
	readonly method: string;
	/** As it came. */
	readonly path: string;
	readonly host: string | undefined;
	readonly connection: string | undefined;
	readonly forwardedFor: string | undefined;
};

/** The rest of it. */
export type AskedRest = {
	/** As it came. */
	readonly query: string;
	/** All header fields in their order: name, value, name, value. The names are in lower case. */
	readonly fields: readonly string[];
	/** The token of a websocket that has one among its subprotocols, for the field Authorization. */
	readonly token: string | undefined;
};

/** The address of the client, and that of the peer, which may be a proxy. Empty on a UNIX socket. */
export type Addresses = { readonly client: string; readonly peer: string };

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
	// Of the body, which the question does not have, and of the answer: a 206, 304 or 412 would say nothing about the client.
	'accept-encoding',
	'content-length',
	'expect',
	'host',
	'if-match',
	'if-modified-since',
	'if-none-match',
	'if-range',
	'if-unmodified-since',
	'range',
	// The server adds these fields itself. A client must not be able to forge them.
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
export function questionHeaders(
	action: 'subscribe' | 'publish',
	head: AskedHead,
	{ query, fields, token }: AskedRest,
	{ client, peer }: Addresses,
	endpoint: readonly string[],
): string[] | undefined {
	const { method, path, host, forwardedFor } = head;
	const nominated = nominatedBy(head.connection);
	const headers: string[] = [];
	for (let i = 0; i < fields.length; i += 2) {
		const name = fields[i] ?? '';
		const value = fields[i + 1] ?? '';
		// The fields that are left out are checked too: the server puts some of their values into the fields that it adds.
		if (!isFieldName.test(name) || !isFieldValue.test(value)) return undefined;
		// CGI and WSGI give a service x_real_ip and x-real-ip under one name.
		const hyphened = name.includes('_') ? name.replaceAll('_', '-') : name;
		if (notAsked.has(hyphened) || name.startsWith('sec-websocket-') || nominated.includes(name)) continue;
		if (token !== undefined && name === 'authorization') continue;
		headers.push(name, bytesOf(value));
	}
	if (token !== undefined) headers.push('Authorization', `Bearer ${bytesOf(token)}`);
	headers.push('X-Original-URI', inAscii(query === '' ? path : `${path}?${query}`));
	headers.push('X-Original-Method', method.toUpperCase(), 'X-Original-Action', action);
	if (client !== '') headers.push('X-Real-IP', client);
	const chain = forwardedFor === undefined || peer === '' ? (forwardedFor ?? peer) : `${forwardedFor}, ${peer}`;
	if (chain !== '') headers.push('X-Forwarded-For', bytesOf(chain));
	if (host !== undefined) headers.push('X-Forwarded-Host', bytesOf(host));
	headers.push(...endpoint);
	return headers;
}

/** The fields that a Connection field names besides the usual ones. */
function nominatedBy(connection: string | undefined): readonly string[] {
	const names = connection?.toLowerCase() ?? '';
	return names === 'upgrade' || names === 'keep-alive' ? [] : names.split(/[\s,]+/);
}

/** A URL's path or query, in the characters that a request line may have (RFC 9112, section 3). */
export function inAscii(text: string): string {
	return text.replace(/[^\x21\x22\x24-\x7e]+/gu, encodeURIComponent);
}

const isFieldName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
// No control characters (RFC 9110, section 5.5).
const isFieldValue = /^[\t -~\u0080-\uffff]*$/;

/** The bytes of a text in UTF-8, each as the character of that number, as HTTP clients take them. */
function bytesOf(text: string): string {
	return isAscii.test(text) ? text : Buffer.from(text).toString('latin1');
}

const isAscii = /^[\t -~]*$/;
