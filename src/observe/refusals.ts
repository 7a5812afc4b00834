// What is said of refused requests, in figures and in the log.

import type { ClientAddress } from '../connections/client-address.js';
import { limitCauses } from '../connections/limits.js';
import type { RefusalListener } from '../http/exchange.js';
import { isHandshake } from '../http/handshake.js';
import { formatOriginRule } from '../http/origin.js';
import type { RequestHead } from '../http/request-head.js';
import type { Options } from '../options/table.js';
import { type Log, rateLimited } from './log.js';
import type { Metrics, RequestAim } from './metrics.js';

/** Counts refusals, and logs them: at `debug`, but for refused origins and reached limits, which a configuration may be to blame for. */
export function refusalListener(options: Options, log: Log, metrics: Metrics, clientAddress: ClientAddress): RefusalListener {
	const setting = options.origin.map(formatOriginRule).join(',');
	const logOrigin = rateLimited(1_000, (leftOut: number, fields: object) =>
		log.info({ ...fields, setting, leftOut }, 'an origin that --origin does not allow'),
	);
	const logLimit = rateLimited(1_000, (leftOut: number, fields: object) =>
		log.warn({ ...fields, leftOut }, 'no room for an upgrade: a limit is reached'),
	);
	const logClosed = rateLimited(1_000, (leftOut: number, fields: object) =>
		log.warn({ ...fields, leftOut }, 'a connection was closed that sent too many requests at once, or did not read its answers'),
	);
	const isDebug = log.isLevelEnabled('debug');
	return ({ cause, status }, head, peer) => {
		metrics.requestRefused(cause, aimOf(head));
		const isLimit = limitCauses.includes(cause);
		// Closed, not answered.
		const isClosed = status === undefined;
		if (cause !== 'origin' && !isLimit && !isClosed && !isDebug) return;
		const ip = clientAddress(peer, head.forwardedFor);
		const fields = { event: 'refused', path: head.path, ip, origin: head.origin, code: status, reason: cause };
		if (cause === 'origin') logOrigin(fields);
		else if (isLimit) logLimit(fields);
		else if (isClosed) logClosed(fields);
		else log.debug(fields, 'refused');
	};
}

/** Logs which websockets are closed because they sent too much at once. */
export function floodLog(log: Log): (path: string, ip: string) => void {
	return rateLimited(1_000, (leftOut: number, path: string, ip: string) =>
		log.warn({ event: 'refused', path, ip, reason: 'flood', leftOut }, 'a websocket was closed that sent too much at once'),
	);
}

function aimOf(head: RequestHead): RequestAim {
	if (isHandshake(head)) return 'connect';
	return head.method === 'post' || head.method === 'put' ? 'publish' : 'other';
}
