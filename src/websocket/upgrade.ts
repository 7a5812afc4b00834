// A websocket's handshake -> who may come in, and what is known of it from then on.

import { Allowance } from '../connections/allowance.js';
import type { ClientAddress } from '../connections/client-address.js';
import type { Farewells } from '../connections/closing.js';
import type { Subscriber } from '../connections/connection.js';
import type { Admission } from '../connections/limits.js';
import type { UpgradeContext } from '../engine.js';
import type { Door, DoorParts } from '../http/exchange.js';
import { firstProtocol, handshakeRefusal } from '../http/handshake.js';
import { type OriginPolicy, originRefusal } from '../http/origin.js';
import type { Refused } from '../http/reply.js';
import type { Log } from '../observe/log.js';
import { parseChannelName } from '../pubsub/channel-name.js';

export type UpgradeParts = DoorParts & {
	readonly checkOrigin: OriginPolicy;
	readonly admit: Admission;
	readonly clientAddress: ClientAddress;
	/** Whether an address comes from a header, and must be kept from the handshake on. */
	readonly isBehindProxies: boolean;
	readonly farewells: Farewells;
	readonly log: Log;
	/** When a websocket that opens now is to be closed. */
	readonly expiry: () => number | undefined;
	/** From one websocket; 0 for no limit. */
	readonly messagesPerSecondMax: number;
	readonly pathCodePointsMax: number;
};

/** Lets a valid handshake with a valid path in, if its origin is allowed and there is room. */
export function upgradeDoor(parts: UpgradeParts): Door<[UpgradeContext]> {
	const {
		checkOrigin,
		admit,
		clientAddress,
		isBehindProxies,
		farewells,
		expiry,
		isStopping,
		messagesPerSecondMax,
		pathCodePointsMax,
		log,
	} = parts;
	const isDebug = log.isLevelEnabled('debug');
	const allowance = () => (messagesPerSecondMax > 0 ? new Allowance(messagesPerSecondMax, performance.now()) : undefined);
	let connections = 0;
	return (res, head, context) => {
		const handshake = handshakeRefusal(head);
		if (handshake !== undefined) return handshake;
		const name = parseChannelName(head.path, pathCodePointsMax);
		if (typeof name === 'object') return name;
		if (!checkOrigin(head.origin, head.host).isAllowed) return originRefusal;
		if (isStopping()) return stopping;
		const noRoom = admit(name);
		if (noRoom !== undefined) return noRoom;
		const ip = isDebug || isBehindProxies ? clientAddress(res.getRemoteAddress(), head.forwardedFor) : undefined;
		const seen = isDebug ? { conn: ++connections, origin: head.origin } : undefined;
		const subscriber: Subscriber = {
			name,
			place: undefined,
			channel: undefined,
			isAdmitted: false,
			waiter: undefined,
			farewell: undefined,
			allowance: allowance(),
			pongAllowance: allowance(),
			wave: farewells.wave,
			expiresMs: expiry(),
			disconnectCause: undefined,
			ip,
			seen,
		};
		// No extensions: compression stays off.
		res.upgrade(subscriber, head.webSocketKey ?? '', firstProtocol(head) ?? '', '', context);
		return undefined;
	};
}

const stopping: Refused = {
	status: 503,
	cause: 'stopping',
	reason: 'The server is stopping: connect again in a moment.',
	headers: [['Retry-After', '1']],
};
