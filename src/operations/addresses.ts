// Addresses to listen on: how they are written, and why one cannot be had.
import { lookup } from 'node:dns/promises';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { StartError } from '../start-error.js';

/** A TCP address. An empty host is every interface; port 0 is any free port. */
export type Address = { readonly host: string; readonly port: number };

/** `host:port`, an IPv6 host in brackets, as it stands in a URL. */
export function formatAddress({ host, port }: Address): string {
	return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The IP address to bind for a host. Throws a StartError that names the flag if the name is not known. */
export async function bindableHost(flag: string, host: string): Promise<string> {
	// With IPv6 on the machine, :: takes IPv4 connections as well.
	if (host === '') return hasIPv6() ? '::' : '0.0.0.0';
	try {
		return (await lookup(host)).address;
	} catch {
		throw new StartError(
			`${flag}: the host ${host} cannot be resolved; give an IP address or a known name, as in 127.0.0.1:8081.`,
		);
	}
}

function hasIPv6(): boolean {
	return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === 'IPv6'));
}

/** The error for an address that cannot be listened on, by the system's error code. */
export function listenError(flag: string, address: Address, code: string | undefined): StartError {
	const why: Record<string, string> = {
		EADDRINUSE: 'it is in use; stop the server that has it, or choose another port',
		EACCES: 'this user may not; choose a port from 1024 up, or grant CAP_NET_BIND_SERVICE',
		EADDRNOTAVAIL: 'it is no address of this machine; choose one that is, or :port for all of them',
	};
	return new StartError(`${flag}: cannot listen on ${formatAddress(address)}: ${why[code ?? ''] ?? `the system says ${code}`}.`);
}

/** Finds out why the engine, which does not say, could not listen on an address. */
export async function whyNotListening(address: Address): Promise<string | undefined> {
	const probe = createServer();
	return new Promise((resolve) => {
		probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
		probe.listen({ ...address, exclusive: true }, () => probe.close(() => resolve('EADDRINUSE')));
	});
}
