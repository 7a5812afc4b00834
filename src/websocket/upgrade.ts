// A websocket's handshake -> which connections are let in, and what is known of them from then on.
import { Allowance } from '../connections/allowance.js';
import type { ClientAddress } from '../connections/client-address.js';
import type { UpgradeContext } from '../engine.js';
import type { Admission, Admitted } from '../http/admission.js';
import type { Door } from '../http/exchange.js';
import { firstProtocol, handshakeRefusal } from '../http/handshake.js';
import { isRefused } from '../http/reply.js';
import { type Terms, type UserData, type WebSocket, WebSocketConnection } from './connection.js';

export type UpgradeParts = {
	readonly admission: Admission;
	readonly clientAddress: ClientAddress;
	readonly maxRate: number;
};

/** Lets a valid handshake with a valid path in, if its origin is allowed and there is room. */
export function upgradeDoor({ admission, clientAddress, maxRate }: UpgradeParts): Door<[UpgradeContext]> {
	const addressOf = (ws: WebSocket) => clientAddress(ws.getRemoteAddress(), undefined);
	const allowance = () => new Allowance(maxRate, performance.now());
	const common: Terms = { grant: admission.commonGrant, allowances: undefined, party: undefined, addressOf };
	return (exchange, context) => {
		const { head, res } = exchange;
		const handshake = handshakeRefusal(head);
		if (handshake !== undefined) return handshake;
		const name = admission.channelFor(head);
		if (isRefused(name)) return name;
		return admission.admit(name, exchange, (admitted) => {
			if ('cause' in admitted) return admitted;
			const connection = new WebSocketConnection(admitted.id, termsOf(admitted));
			const data: UserData = { connection, name: admitted.name };
			// No extensions: compression stays off.
			res.upgrade(data, head.webSocketKey ?? '', firstProtocol(head) ?? '', '', context);
			// The engine has called `open`, in this turn: nothing was published in between.
			if (admitted.hello !== undefined) connection.greet(admitted.hello);
			return undefined;
		});
	};

	function termsOf({ grant, party }: Admitted): Terms {
		if (grant === admission.commonGrant && party === undefined && maxRate === 0) return common;
		return {
			grant,
			allowances: maxRate > 0 ? { messages: allowance(), pongs: allowance() } : undefined,
			party,
			addressOf,
		};
	}
}
