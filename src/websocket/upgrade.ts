// A websocket's handshake -> which connections are let in, and what is known of them from then on.
import { Allowance } from '../connections/allowance.js';
import type { ClientAddress } from '../connections/client-address.js';
import type { Membership } from '../connections/membership.js';
import type { UpgradeContext } from '../engine.js';
import type { Admission, Admitted } from '../http/admission.js';
import type { Door } from '../http/exchange.js';
import { firstProtocol, handshakeRefusal } from '../http/handshake.js';
import { isRefused } from '../http/reply.js';
import type { Events } from '../observe/events.js';
import { type Terms, type UserData, type WebSocket, WebSocketConnection } from './connection.js';
import { closeAfterThrow } from './fault.js';

export type UpgradeParts = {
	/** The engine puts a websocket here when it has upgraded it. */
	readonly opened: WebSocket[];
	readonly admission: Admission;
	readonly membership: Membership;
	readonly events: Pick<Events, 'fault'>;
	readonly clientAddress: ClientAddress;
	readonly maxRate: number;
};

/** Lets a valid handshake with a valid path in, if its origin is allowed and there is room. */
export function upgradeDoor({
	opened,
	admission,
	membership,
	events,
	clientAddress,
	maxRate,
}: UpgradeParts): Door<[UpgradeContext]> {
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
			const data: UserData = { connection };
			// No extensions: compression stays off.
			exchange.upgrade(res.upgrade.bind(res, data, head.webSocketKey ?? '', firstProtocol(head) ?? '', '', context));
			enter(connection, admitted, opened.pop());
			return undefined;
		});
	};

	function enter(connection: WebSocketConnection, { name, party, hello }: Admitted, ws: WebSocket | undefined): void {
		// The client may be lost before it has its answer.
		if (ws === undefined || connection.closeCause !== undefined) return;
		connection.opened(ws);
		try {
			membership.enter(connection, name, party);
			// In the same turn: nothing is published in between.
			if (hello !== undefined) connection.greet(hello);
		} catch (error) {
			closeAfterThrow(events, connection, error);
		}
	}

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
