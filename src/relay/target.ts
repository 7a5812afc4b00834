// The servers that --relay names.

export type Host = { readonly host: string; readonly port: number };

/** Redis or Valkey: one server, some nodes of a cluster, or Sentinels that know the master of a name. */
export type RelayTarget = {
	readonly hosts: readonly Host[];
	/** Of a UNIX socket, in place of hosts. */
	readonly path: string | undefined;
	/** The name of the master at the Sentinels; undefined if the hosts are no Sentinels. */
	readonly masterName: string | undefined;
	readonly isTls: boolean;
	/** Of the servers, and not of the Sentinels. */
	readonly username: string | undefined;
	readonly password: string | undefined;
};

/** The address of a server, as the log shows it: IPv6 stands in brackets. */
export function formatHost({ host, port }: Host): string {
	return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
