// Refuses web pages: none may use the operator's listener through an operator's browser.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { reachable, type TcpAddress } from '../listening/addresses.js';

/** The hosts that a request to the listener may name: the host of --mport, and that of X-Endpoint. */
export function operatorHosts(
	{ mport, endpoint }: { readonly mport: TcpAddress | 'off'; readonly endpoint: string | undefined },
	bound: TcpAddress,
): string[] {
	return [mport === 'off' ? '' : mport.host, endpoint?.replace(/:[0-9]+$/, '') ?? reachable(bound).host];
}

/**
 * Why a request is refused with 403, or undefined. `names` are hosts by which the listener may be asked for. `allowsAnyHost` is for
 * endpoints that machines ask for under names that we cannot know, when the listener is not bound to loopback.
 */
export function visitorRefusal(
	req: IncomingMessage,
	{ host: boundHost }: TcpAddress,
	names: readonly string[],
	allowsAnyHost: boolean,
): string | undefined {
	const { origin, 'sec-fetch-site': fetchSite = 'none' } = req.headers;
	// The GET of a page may have no Origin, but browsers name its site (Fetch Metadata).
	if (origin !== undefined || !['none', 'same-origin'].includes(String(fetchSite))) return pageRefusal;
	if (allowsAnyHost && !isLoopback(boundHost)) return undefined;
	// After DNS rebinding, a page needs no Origin, but its requests have the page's own Host.
	const hosts = req.headersDistinct.host ?? [];
	return hosts.every((host) => isOurs(host, names)) ? undefined : hostRefusal;
}

// In any notation: 127.0.0.1 may be written ::ffff:127.0.0.1.
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

function isLoopback(host: string): boolean {
	return loopback.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
}

function isOurs(host: string, ownNames: readonly string[]): boolean {
	const [, ipv6, name = ''] = /^(?:\[([^\]]+)\]|([^:]*))(?::[0-9]*)?$/.exec(host.toLowerCase()) ?? [];
	return isIP(ipv6 ?? name) !== 0 || name === 'localhost' || (name !== '' && ownNames.some((own) => own.toLowerCase() === name));
}

const pageRefusal = "Web pages may not use the operator's listener: leave the Origin header out.";
const hostRefusal =
	"The operator's listener does not go by this Host: ask for localhost, an IP address, or the host that --mport or --endpoint names.";
