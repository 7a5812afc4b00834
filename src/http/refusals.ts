// Refusals of upgrades and event streams for want of room, and while the server stops.
import type { LimitCause } from '../connections/limits.js';
import type { OrderFailure } from '../pubsub/order.js';
import type { HeaderLines, Refused } from './reply.js';

// Long enough that a crowd of refused clients costs little, short enough that a free place is soon taken.
const retryAfterLimit: HeaderLines = [['Retry-After', '5']];

export const limitRefusals: Record<LimitCause, Refused> = {
	connections: refusalOf('connections', 'The server has as many subscribers as it takes', '--max-connections'),
	channels: refusalOf('channels', 'The server has as many channels as it takes', '--max-channels'),
	subscribers: refusalOf('subscribers', 'The channel has as many subscribers as it takes', '--max-subscribers'),
	memory: refusalOf('memory', 'The server has no memory for more subscribers', '--memory-budget'),
};

function refusalOf(cause: LimitCause, what: string, flag: string): Refused {
	const reason = `${what}: try again in a few seconds (${flag}).`;
	return { status: 503, cause, reason, headers: retryAfterLimit, closesConnection: true };
}

export const relayRefusals: Record<OrderFailure, Refused> = {
	away: {
		status: 503,
		cause: 'relay',
		reason: 'The relay of this server cannot be reached: nothing was done; try again in a few seconds.',
		headers: retryAfterLimit,
	},
	busy: {
		status: 503,
		cause: 'relay',
		reason: 'Too much waits for the relay of this server: nothing was done; try again in a second.',
		headers: [['Retry-After', '1']],
	},
	unknown: {
		status: 502,
		cause: 'relay',
		reason: 'The answer of the relay was lost: the message may have been published, or not.',
	},
};

export const stopping: Refused = {
	status: 503,
	cause: 'stopping',
	reason: 'The server is stopping: connect again in a moment.',
	headers: [['Retry-After', '1']],
};
