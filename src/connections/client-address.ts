// The address of a request's client: the peer's, or the one that trusted proxies in front name.
import { BlockList, isIP, SocketAddress } from 'node:net';

export type Network = { readonly address: string; readonly prefixBits: number; readonly family: 'ipv4' | 'ipv6' };

/** Gives the client's address, from the peer's as the engine has it (4 or 16 bytes, or none) and `X-Forwarded-For`. */
export type ClientAddress = (peer: ArrayBuffer, forwardedFor: string | undefined) => string;

export function clientAddressBehind(proxies: readonly Network[]): ClientAddress {
	const trusted = new BlockList();
	for (const { address, prefixBits, family } of proxies) trusted.addSubnet(address, prefixBits, family);
	// A peer on our UNIX socket has no address; the socket's permissions say who it can be.
	const isTrusted = (address: string) =>
		proxies.length > 0 && (address === '' || trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'));

	return (peer, forwardedFor) => {
		let client = addressText(peer);
		// Each proxy appends the address that it got the request from. So an entry can be trusted if the proxy after it is trusted.
		const entries = forwardedFor?.split(',').map((entry) => entry.trim()) ?? [];
		while (isTrusted(client)) {
			const entry = entries.pop();
			// An empty element of a list counts for nothing (RFC 9110, section 5.6.1).
			if (entry === '') continue;
			const before = entry === undefined ? undefined : addressIn(entry);
			if (before === undefined) break;
			client = before;
		}
		return client;
	};
}

/**
 * The address in an entry of `X-Forwarded-For`: it may have a port, an IPv6 address brackets, a zone, or an IPv4 address within, and
 * either may be quoted, as proxies write it that also write `Forwarded` (RFC 7239, section 6). Undefined for a name, `unknown`, and what hides an address.
 */
function addressIn(entry: string): string | undefined {
	const unquoted = /^"(.*)"$/.exec(entry)?.[1] ?? entry;
	const bare = /^\[([^\]]*)\](?::[0-9]{1,5})?$/.exec(unquoted)?.[1] ?? /^([0-9.]+):[0-9]{1,5}$/.exec(unquoted)?.[1] ?? unquoted;
	const address = bare.replace(/%.*$/, '');
	const family = isIP(address);
	if (family === 0) return undefined;
	return family === 4 ? address : canonicalIPv6(address);
}

function canonicalIPv6(address: string): string {
	// On an address of all interfaces, IPv4 peers come as ::ffff:a.b.c.d.
	return new SocketAddress({ address, family: 'ipv6' }).address.replace(/^::ffff:(?=[0-9.]+$)/, '');
}

function addressText(bytes: ArrayBuffer): string {
	const octets = new Uint8Array(bytes);
	if (octets.length === 4) return octets.join('.');
	if (octets.length !== 16) return '';
	const groups = Array.from({ length: 8 }, (_, i) => (((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0)).toString(16));
	return canonicalIPv6(groups.join(':'));
}
