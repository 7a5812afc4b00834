// Addresses to listen on: how they are written, and why one cannot be had.
import { lookup } from 'node:dns/promises';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { dirname } from 'node:path';
import { StartError } from '../start-error.js';

/** A TCP address. An empty host is every interface; port 0 is any free port. */
export type TcpAddress = { readonly host: string; readonly port: number };
/** A TCP address, or the absolute path of a UNIX socket. */
export type Address = TcpAddress | { readonly path: string };

/** `host:port`, an IPv6 host in brackets, as it stands in a URL; or the path. */
export function formatAddress(address: Address): string {
	if ('path' in address) return address.path;
	const { host, port } = address;
	return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The address with its host as the IP address to bind. Throws a StartError that names the flag if the name is not known. */
export async function bindable(flag: string, { host, port }: TcpAddress): Promise<TcpAddress> {
	// With IPv6 on the machine, :: takes IPv4 connections as well.
	if (host === '') return { host: hasIPv6() ? '::' : '0.0.0.0', port };
	try {
		return { host: (await lookup(host)).address, port };
	} catch {
		throw new StartError(
			`${flag}: the host ${host} cannot be resolved; give an IP address or a known name, as in 127.0.0.1:8081.`,
		);
	}
}

function hasIPv6(): boolean {
	return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ family }) => family === 'IPv6'));
}

/** The name of this machine in place of all interfaces, so that other machines find the address. */
export function reachable({ host, port }: TcpAddress): TcpAddress {
	return { host: host === '::' || host === '0.0.0.0' ? hostname() : host, port };
}

/** The error for an address that cannot be listened on, by the system's error code. */
export function listenError(flag: string, address: Address, code: string | undefined): StartError {
	const why: Record<string, string> = {
		EADDRINUSE: 'it is in use; stop the server that has it, or choose another port',
		EACCES:
			'path' in address
				? 'this user may not write to its directory; choose another path, or change the permissions'
				: 'this user may not; choose a port from 1024 up, or grant CAP_NET_BIND_SERVICE',
		EADDRNOTAVAIL: 'it is no address of this machine; choose one that is, or :port for all of them',
		ENOENT: 'its directory does not exist; create it, or choose another path',
	};
	return new StartError(`${flag}: cannot listen on ${formatAddress(address)}: ${why[code ?? ''] ?? `the system says ${code}`}.`);
}

/** Finds out why the engine, which does not say, could not listen on an address. */
export async function whyNotListening(address: Address): Promise<string | undefined> {
	// Node calls this one EACCES.
	if ('path' in address && !existsSync(dirname(address.path))) return 'ENOENT';
	const probe = createServer();
	return new Promise((resolve) => {
		probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
		probe.listen({ ...address, exclusive: true }, () => probe.close(() => resolve('EADDRINUSE')));
	});
}
