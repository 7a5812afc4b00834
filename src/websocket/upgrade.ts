// A websocket's handshake -> which connections are let in, and what is known of them from then on.
import { Allowance } from '../connections/allowance.js';
import type { ClientAddress } from '../connections/client-address.js';
import type { ReachedLimit } from '../connections/limits.js';
import type { Connections } from '../connections/registry.js';
import type { UpgradeContext } from '../engine.js';
import type { Door, Exchange } from '../http/exchange.js';
import { firstProtocol, handshakeRefusal } from '../http/handshake.js';
import { type OriginPolicy, originRefusal } from '../http/origin.js';
import { limitRefusals, stopping } from '../http/refusals.js';
import { isRefused } from '../http/reply.js';
import { parseChannelName } from '../pubsub/channel-name.js';
import { type Terms, type WebSocket, WebSocketConnection } from './connection.js';

export type UpgradeParts = {
	readonly checkOrigin: OriginPolicy;
	readonly reachedLimit: ReachedLimit;
	readonly clientAddress: ClientAddress;
	/** Whether an address comes from a header, and must be kept from the handshake on. */
	readonly isBehindProxies: boolean;
	/** Whether the log names every client. */
	readonly namesClients: boolean;
	readonly connections: Connections;
	readonly isStopping: () => boolean;
	/** When a connection that opens now is to be closed. */
	readonly expiry: () => number | undefined;
	readonly mayPublish: boolean;
	readonly maxRate: number;
	readonly maxPath: number;
};

/** Lets a valid handshake with a valid path in, if its origin is allowed and there is room. */
export function upgradeDoor(parts: UpgradeParts): Door<[UpgradeContext]> {
	const { checkOrigin, reachedLimit, clientAddress, isBehindProxies, namesClients, connections, isStopping } = parts;
	const { expiry, mayPublish, maxRate, maxPath } = parts;
	const addressOf = (ws: WebSocket) => clientAddress(ws.getRemoteAddress(), undefined);
	const allowance = () => new Allowance(maxRate, performance.now());
	const common: Terms = { grant: { mayPublish, expiresMs: undefined }, allowances: undefined, party: undefined, addressOf };
	const isCommon = !namesClients && !isBehindProxies && maxRate === 0;
	return (exchange, context) => {
		const { head, res } = exchange;
		const handshake = handshakeRefusal(head);
		if (handshake !== undefined) return handshake;
		const name = parseChannelName(head.path, maxPath);
		if (isRefused(name)) return name;
		if (!checkOrigin(head.origin, head.host).isAllowed) return originRefusal;
		if (isStopping()) return stopping;
		const limit = reachedLimit(name);
		if (limit !== undefined) return limitRefusals[limit];
		const id = connections.newId();
		const connection = new WebSocketConnection(id, termsOf(id, exchange));
		// No extensions: compression stays off.
		res.upgrade({ connection, name }, head.webSocketKey ?? '', firstProtocol(head) ?? '', '', context);
		return undefined;
	};

	function termsOf(id: number, exchange: Exchange): Terms {
		const expiresMs = expiry();
		if (isCommon && expiresMs === undefined) return common;
		const ip = namesClients || isBehindProxies ? exchange.address() : undefined;
		return {
			grant: { mayPublish, expiresMs },
			allowances: maxRate > 0 ? { messages: allowance(), pongs: allowance() } : undefined,
			party: ip === undefined ? undefined : { conn: id, ip, origin: exchange.head.origin },
			addressOf,
		};
	}
}
