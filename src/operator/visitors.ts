// Who may use the operator's listener: no web page, whatever an operator's browser is made to send.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { TcpAddress } from '../listening/addresses.js';

/** Where the listener is bound, and the host that `--mport` gave for it: empty for all interfaces. */
export type OperatorAddress = TcpAddress & { readonly name: string };

/**
 * Why a request is refused with 403, or undefined. `allowsAnyHost` is for endpoints that machines ask for under names
 * that we cannot know, once others than this machine can connect.
 */
export function visitorRefusal(
	req: IncomingMessage,
	{ host: boundHost, name }: OperatorAddress,
	allowsAnyHost: boolean,
): string | undefined {
	const { origin, 'sec-fetch-site': fetchSite = 'none' } = req.headers;
	// A page's GET may come without an Origin, but a browser says where it comes from (Fetch Metadata).
	if (origin !== undefined || !['none', 'same-origin'].includes(String(fetchSite))) return pageRefusal;
	if (allowsAnyHost && !isLoopback(boundHost)) return undefined;
	// A page whose name was made to point here (DNS rebinding) has no Origin to show, but its own Host.
	const hosts = req.headersDistinct.host ?? [];
	return hosts.every((host) => isOurs(host, name.toLowerCase())) ? undefined : hostRefusal;
}

// However they are written: 127.0.0.1 is ::ffff:127.0.0.1, too.
const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

function isLoopback(host: string): boolean {
	return loopback.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
}

function isOurs(host: string, ownName: string): boolean {
	const [, ipv6, name = ''] = /^(?:\[([^\]]+)\]|([^:]*))(?::[0-9]*)?$/.exec(host.toLowerCase()) ?? [];
	return isIP(ipv6 ?? name) !== 0 || name === 'localhost' || (name !== '' && name === ownName);
}

const pageRefusal = "Web pages may not use the operator's listener: leave the Origin header out.";
const hostRefusal =
	"The operator's listener does not go by this Host: ask for localhost, an IP address, or the host that --mport names.";
