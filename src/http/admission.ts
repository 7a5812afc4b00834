// Who is let in as a subscriber, by websocket or event stream, and what is known of a client from then on.
import type { ReachedLimit } from '../connections/limits.js';
import type { Connections } from '../connections/registry.js';
import type { Party } from '../observe/events.js';
import { type ChannelName, parseChannelName } from '../pubsub/channel-name.js';
import type { Exchange } from './exchange.js';
import { type OriginPolicy, originRefusal } from './origin.js';
import { limitRefusals, stopping } from './refusals.js';
import { isRefused, type Refused } from './reply.js';
import type { RequestHead } from './request-head.js';

export type AdmissionParts = {
	readonly checkOrigin: OriginPolicy;
	readonly reachedLimit: ReachedLimit;
	/** Whether an address comes from a header, and must be kept from the request on. */
	readonly isBehindProxies: boolean;
	/** Whether the log names every client. */
	readonly namesClients: boolean;
	readonly connections: Connections;
	readonly isStopping: () => boolean;
	/** When a connection that opens now is to be closed. */
	readonly expiry: () => number | undefined;
	readonly maxPath: number;
};

export type Admitted = {
	readonly id: number;
	/** When the connection is to be closed, by performance.now(); undefined for never. */
	readonly expiresMs: number | undefined;
	/** What the request tells of the client, where the log needs it. */
	readonly party: Party | undefined;
};

export class Admission {
	readonly #parts: AdmissionParts;

	constructor(parts: AdmissionParts) {
		this.#parts = parts;
	}

	/** The channel that a request may subscribe to, or why it may subscribe to none. */
	channelFor({ path, origin, host }: RequestHead): ChannelName | Refused {
		const { checkOrigin, maxPath } = this.#parts;
		const name = parseChannelName(path, maxPath);
		if (isRefused(name)) return name;
		return checkOrigin(origin, host).isAllowed ? name : originRefusal;
	}

	/** Lets a client into a channel, unless the server stops or a limit is reached. */
	admit(name: ChannelName, exchange: Exchange): Admitted | Refused {
		const { reachedLimit, isBehindProxies, namesClients, connections, isStopping, expiry } = this.#parts;
		if (isStopping()) return stopping;
		const limit = reachedLimit(name);
		if (limit !== undefined) return limitRefusals[limit];
		const id = connections.newId();
		const party =
			namesClients || isBehindProxies ? { conn: id, ip: exchange.address(), origin: exchange.head.origin } : undefined;
		return { id, expiresMs: expiry(), party };
	}
}
