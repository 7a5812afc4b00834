// Opens a connection to a server of the relay.
import type { ConnectionOptions } from 'node:tls';
import { Redis } from 'ioredis';
import { checkServer, refusalOf, shownError } from './handshake.js';
import { abandon, Link, type LinkParts } from './link.js';
import { formatHost, type Host, type RelayTarget } from './target.js';

export type OpeningParts = LinkParts & {
	readonly target: RelayTarget;
	/** Undefined without TLS. */
	readonly tls: ConnectionOptions | undefined;
	/** A channel of its own, on which the rights of the user are tried. */
	readonly probe: string;
	/** Aborted when the server stops: a connection that is being made is given up then. */
	readonly stopping: AbortSignal;
};

/**
 * Opens a connection to a host; without a host, to the UNIX socket or the master of the Sentinels that the target names. Throws a
 * RelayRefused if the server answers and cannot serve, another Error if it cannot be reached.
 */
export async function openLink(host: Host | undefined, parts: OpeningParts): Promise<Link> {
	const { target, timeoutMs, stopping } = parts;
	const redis = new Redis({ ...connectionOptions(host, parts), ...neverMended, lazyConnect: true });
	let cause: Error | undefined;
	redis.on('error', (error: Error) => {
		cause ??= error;
	});
	let giveUp: (why: string) => void = () => {};
	const givenUp = new Promise<never>((_, reject) => {
		giveUp = (why) => {
			cause ??= new Error(why);
			reject(cause);
		};
	});
	const patience = setTimeout(giveUp, timeoutMs, `no answer within ${timeoutMs / 1_000} s (--relay-timeout)`);
	const onStopping = () => giveUp('the server stops');
	stopping.addEventListener('abort', onStopping);
	try {
		// ioredis never settles a connection that is given up while a Sentinel owes its answer.
		const state = await Promise.race([redis.connect().then(() => checkServer(redis, parts.probe)), givenUp]);
		redis.removeAllListeners('error');
		return new Link(addressOf(host, target), state, redis, parts);
	} catch (error) {
		abandon(redis);
		throw refusalOf(shownError(cause ?? (error as Error), target.password));
	} finally {
		clearTimeout(patience);
		stopping.removeEventListener('abort', onStopping);
	}
}

// A connection that is lost has lost messages: ioredis must not hide that by another connection.
const neverMended = {
	retryStrategy: () => null,
	reconnectOnError: null,
	autoResubscribe: false,
	autoResendUnfulfilledCommands: false,
	enableOfflineQueue: false,
	enableReadyCheck: false,
	disableClientInfo: true,
	maxRetriesPerRequest: null,
	// The timer of ioredis would hold up the end of the process.
	disconnectTimeout: 0,
};

function addressOf(host: Host | undefined, { path, masterName }: RelayTarget): string {
	return host === undefined ? (path ?? `master ${masterName}`) : formatHost(host);
}

function connectionOptions(host: Host | undefined, { target, tls, timeoutMs }: OpeningParts) {
	const { username, password } = target;
	return {
		...(tls !== undefined && { tls }),
		...(username !== undefined && { username }),
		...(password !== undefined && { password }),
		connectTimeout: timeoutMs,
		...whereabouts(host, target, tls, timeoutMs),
	};
}

function whereabouts(host: Host | undefined, target: RelayTarget, tls: ConnectionOptions | undefined, timeoutMs: number) {
	const { path, masterName, hosts } = target;
	if (host !== undefined) return { host: host.host, port: host.port };
	if (path !== undefined || masterName === undefined) return { path: path ?? '' };
	// The Sentinels are asked one after another, and then the master: a Sentinel that does not answer must leave time for the others.
	const shareMs = timeoutMs / (hosts.length + 1);
	return {
		sentinels: hosts.map((sentinel) => ({ ...sentinel })),
		name: masterName,
		role: 'master' as const,
		// Leaves a master when the Sentinels have chosen another.
		failoverDetector: true,
		sentinelRetryStrategy: () => null,
		connectTimeout: shareMs,
		sentinelCommandTimeout: shareMs,
		...(tls !== undefined && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
	};
}
