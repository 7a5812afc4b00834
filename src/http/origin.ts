// Which web pages may subscribe and publish: the Origin header against --origin. Knows nothing of channels.
import type { HeaderLines, Refused } from './reply.js';

/**
 * One rule. `same_origin` and `same_hostname` compare with the request's Host. `null` and `file://` allow exactly that Origin. Any other
 * rule is one origin, without its default port; with `*.` it allows every host below that one.
 */
export type OriginRule = 'same_origin' | 'same_hostname' | OpaqueOrigin | OriginPattern;
export type OriginPattern = { readonly scheme: string; readonly host: string; readonly isSuffix?: true };
/** The Origin of pages that have none: `null` from sandboxed pages, `file://` from pages in files, as in Cordova. */
export type OpaqueOrigin = 'null' | 'file://';

export type OriginVerdict = {
	readonly isAllowed: boolean;
	/** The CORS headers of the answer; none without rules. */
	readonly headers: HeaderLines;
	/** Whether `headers` let the page at that origin read the answer. */
	readonly hasCors: boolean;
};

/** Judges a request by its Origin and Host. */
export type OriginPolicy = (origin: string | undefined, host: string | undefined) => OriginVerdict;

export const originRefusal: Refused = {
	status: 403,
	cause: 'origin',
	reason: 'Pages of this origin may not use this server (--origin).',
};

/** An origin (`scheme://host[:port]`, RFC 6454) by its parts, or undefined if the text is none. */
export function parseOrigin(text: string): { scheme: string; host: string } | undefined {
	if (!/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#@*\\\s]+\/?$/.test(text) || !URL.canParse(text)) return undefined;
	// The URL parser lowers the case of web schemes' hosts, writes IDNs in punycode, and leaves default ports out.
	const { protocol, host } = new URL(text);
	return host === '' ? undefined : { scheme: protocol, host: host.toLowerCase() };
}

/** Builds the check of one list of rules. An empty list allows every origin. */
export function originPolicy(rules: readonly OriginRule[]): OriginPolicy {
	if (rules.length === 0) return () => withoutCors;
	return (origin, host) => {
		// Application servers and curl send no Origin; browsers send one with every request that could publish or subscribe.
		if (origin === undefined) return withoutOrigin;
		if (isOpaque(origin)) return rules.includes(origin) ? allowed(origin, []) : notAllowed;
		const parsed = parseOrigin(origin);
		if (parsed === undefined || !rules.some((rule) => ruleAllows(rule, parsed, host))) return notAllowed;
		// As parsed, which for a browser's Origin is as sent: input is never echoed into a header.
		return allowed(`${parsed.scheme}//${parsed.host}`, withCredentials);
	};
}

/** Whether a text is one of the opaque origins, exactly as browsers send it. */
export function isOpaque(text: string): text is OpaqueOrigin {
	return text === 'null' || text === 'file://';
}

/** A rule as it is written. */
export function formatOriginRule(rule: OriginRule): string {
	return typeof rule === 'string' ? rule : `${rule.scheme}//${rule.isSuffix ? '*' : ''}${rule.host}`;
}

function allowed(origin: string, more: HeaderLines): OriginVerdict {
	const headers: HeaderLines = [
		['Access-Control-Allow-Origin', origin],
		['Access-Control-Expose-Headers', 'X-Subscribers, X-Nodes'],
	];
	return { isAllowed: true, hasCors: true, headers: [...headers, ...more, ...varyByOrigin] };
}

// A request with cookies is published like any other: without this the browser would tell its page that it failed.
const withCredentials: HeaderLines = [['Access-Control-Allow-Credentials', 'true']];
const varyByOrigin: HeaderLines = [['Vary', 'Origin']];
const notAllowed: OriginVerdict = { isAllowed: false, hasCors: false, headers: varyByOrigin };
const withoutCors: OriginVerdict = { isAllowed: true, hasCors: false, headers: [] };
const withoutOrigin: OriginVerdict = { isAllowed: true, hasCors: false, headers: varyByOrigin };

function ruleAllows(rule: OriginRule, origin: { scheme: string; host: string }, host: string | undefined): boolean {
	if (typeof rule === 'object') {
		return rule.scheme === origin.scheme && (rule.isSuffix ? isUnder(rule.host, origin.host) : rule.host === origin.host);
	}
	if (isOpaque(rule)) return false;
	// A Host without a port means the default port of the Origin's scheme, so it is parsed as if it had that scheme.
	const target = host === undefined ? undefined : parseOrigin(`${origin.scheme}//${host}`);
	if (target === undefined) return false;
	return rule === 'same_origin' ? target.host === origin.host : withoutPort(target.host) === withoutPort(origin.host);
}

function isUnder(suffix: string, host: string): boolean {
	return host.length > suffix.length && host.endsWith(suffix);
}

function withoutPort(host: string): string {
	return host.replace(/:[0-9]+$/, '');
}
