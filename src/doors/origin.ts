// Which web pages may subscribe and publish: the Origin header against --origin. Knows nothing of channels.
import type { HeaderLines, Refused } from './reply.js';

/** `same_origin` and `same_hostname` compare with the request's Host; else one origin, its default port left out. */
export type OriginRule = 'same_origin' | 'same_hostname' | { readonly scheme: string; readonly host: string };

export type OriginVerdict = {
	readonly isAllowed: boolean;
	/** What the answer says to the browser; nothing without rules. */
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
		// Application servers and curl send none; browsers always do where it matters.
		if (origin === undefined) return withoutOrigin;
		const parsed = parseOrigin(origin);
		if (parsed === undefined || !rules.some((rule) => ruleAllows(rule, parsed, host))) {
			return { isAllowed: false, hasCors: false, headers: varyByOrigin };
		}
		return {
			isAllowed: true,
			hasCors: true,
			headers: [
				// As parsed, which for a browser's Origin is as sent: input is never echoed into a header.
				['Access-Control-Allow-Origin', `${parsed.scheme}//${parsed.host}`],
				['Access-Control-Expose-Headers', 'X-Subscribers'],
				...varyByOrigin,
			],
		};
	};
}

const varyByOrigin: HeaderLines = [['Vary', 'Origin']];
const withoutCors: OriginVerdict = { isAllowed: true, hasCors: false, headers: [] };
const withoutOrigin: OriginVerdict = { isAllowed: true, hasCors: false, headers: varyByOrigin };

function ruleAllows(rule: OriginRule, origin: { scheme: string; host: string }, host: string | undefined): boolean {
	if (typeof rule === 'object') return rule.scheme === origin.scheme && rule.host === origin.host;
	// A Host without a port means the default port of the Origin's scheme, so it is parsed as if it had that scheme.
	const target = host === undefined ? undefined : parseOrigin(`${origin.scheme}//${host}`);
	if (target === undefined) return false;
	return rule === 'same_origin' ? target.host === origin.host : withoutPort(target.host) === withoutPort(origin.host);
}

function withoutPort(host: string): string {
	return host.replace(/:[0-9]+$/, '');
}
