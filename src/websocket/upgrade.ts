// A websocket's handshake -> which connections are let in, and what is known of them from then on.

import { Allowance } from '../connections/allowance.js';
import type { ClientAddress } from '../connections/client-address.js';
import { closeAfterThrow } from '../connections/fault.js';
import type { Membership } from '../connections/membership.js';
import type { UpgradeContext } from '../engine.js';
import { type GroupParts, GroupSet } from '../groups/group-set.js';
import type { Admitted } from '../http/admission.js';
import type { Door, Exchange } from '../http/exchange.js';
import { chosenProtocol, groupsProtocol, handshakeRefusal } from '../http/handshake.js';
import { isRefused } from '../http/reply.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import { type Opened, type Terms, type UserData, type WebSocket, WebSocketConnection } from './connection.js';

export type UpgradeParts = GroupParts & {
	readonly opened: Opened;
	/** Whether connections may have several channels. */
	readonly groups: boolean;
	readonly membership: Membership;
	readonly clientAddress: ClientAddress;
	readonly maxRate: number;
};

/** Lets a valid handshake with a valid path in, if its origin is allowed and there is room. */
export function upgradeDoor(parts: UpgradeParts): Door<[UpgradeContext]> {
	const { opened, admission, membership, events, clientAddress, groups: hasGroups, maxRate } = parts;
	const addressOf = (ws: WebSocket) => clientAddress(ws.getRemoteAddress(), undefined);
	const allowance = () => new Allowance(maxRate, performance.now());
	const common: Terms = { grant: admission.commonGrant, allowances: undefined, party: undefined, groups: undefined, addressOf };
	return (exchange, context) => {
		const { head, res } = exchange;
		const handshake = handshakeRefusal(head);
		if (handshake !== undefined) return handshake;
		const protocol = chosenProtocol(head, hasGroups);
		if (isRefused(protocol)) return protocol;
		const name = admission.channelFor(head);
		if (isRefused(name)) return name;
		return admission.admit(name, exchange, (admitted) => {
			if ('cause' in admitted) return admitted;
			const groups = protocol === groupsProtocol ? groupSet(name, exchange, admitted) : undefined;
			const connection = new WebSocketConnection(admitted.id, termsOf(admitted, groups));
			const data: UserData = { connection };
			// No extensions: compression stays off.
			exchange.upgrade(res.upgrade.bind(res, data, head.webSocketKey ?? '', protocol, '', context));
			const [ws] = opened;
			opened[0] = undefined;
			enter(connection, admitted, ws);
			return undefined;
		});
	};

	function enter(connection: WebSocketConnection, { name, party, hello }: Admitted, ws: WebSocket | undefined): void {
		// The client may be lost before it has its answer.
		if (ws === undefined || connection.closeCause !== undefined) return;
		connection.opened(ws);
		try {
			membership.enter(connection, name, party);
			connection.groups?.opened(connection);
			// In the same turn: nothing is published in between.
			if (hello !== undefined) connection.greet(hello);
		} catch (error) {
			closeAfterThrow(events, connection, error);
		}
	}

	/** The channels of a connection, whose first is that of the path. */
	function groupSet(path: ChannelName, exchange: Exchange, { party }: Admitted): GroupSet {
		return new GroupSet(path, admission.askingFor(exchange), party, parts);
	}

	function termsOf({ grant, party }: Admitted, groups: GroupSet | undefined): Terms {
		const isCommon = grant === admission.commonGrant && party === undefined && groups === undefined;
		if (isCommon && maxRate === 0) return common;
		return {
			grant,
			allowances: maxRate > 0 ? { messages: allowance(), pongs: allowance() } : undefined,
			party,
			groups,
			addressOf,
		};
	}
}
