// A websocket's handshake -> which connections are let in, and what is known of them from then on.
import { Allowance } from '../connections/allowance.js';
import type { ClientAddress } from '../connections/client-address.js';
import type { UpgradeContext } from '../engine.js';
import type { Admission, Admitted } from '../http/admission.js';
import type { Door } from '../http/exchange.js';
import { firstProtocol, handshakeRefusal } from '../http/handshake.js';
import { isRefused } from '../http/reply.js';
import { type Terms, type WebSocket, WebSocketConnection } from './connection.js';

export type UpgradeParts = {
	readonly admission: Admission;
	readonly clientAddress: ClientAddress;
	readonly mayPublish: boolean;
	readonly maxRate: number;
};

/** Lets a valid handshake with a valid path in, if its origin is allowed and there is room. */
export function upgradeDoor({ admission, clientAddress, mayPublish, maxRate }: UpgradeParts): Door<[UpgradeContext]> {
	const addressOf = (ws: WebSocket) => clientAddress(ws.getRemoteAddress(), undefined);
	const allowance = () => new Allowance(maxRate, performance.now());
	const common: Terms = { grant: { mayPublish, expiresMs: undefined }, allowances: undefined, party: undefined, addressOf };
	return (exchange, context) => {
		const { head, res } = exchange;
		const handshake = handshakeRefusal(head);
		if (handshake !== undefined) return handshake;
		const name = admission.channelFor(head);
		if (isRefused(name)) return name;
		const admitted = admission.admit(name, exchange);
		if ('cause' in admitted) return admitted;
		const connection = new WebSocketConnection(admitted.id, termsOf(admitted));
		// No extensions: compression stays off.
		res.upgrade({ connection, name }, head.webSocketKey ?? '', firstProtocol(head) ?? '', '', context);
		return undefined;
	};

	function termsOf({ expiresMs, party }: Admitted): Terms {
		if (expiresMs === undefined && party === undefined && maxRate === 0) return common;
		return {
			grant: { mayPublish, expiresMs },
			allowances: maxRate > 0 ? { messages: allowance(), pongs: allowance() } : undefined,
			party,
			addressOf,
		};
	}
}
