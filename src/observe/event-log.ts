// What the log says of the server's events. Lines that clients can provoke are written once a second at the most.
import type { Events } from './events.js';
import { type Log, rateLimited } from './log.js';

/** `limitCauses` are the refusals that a limit of the server causes; `originSetting` is --origin, as the log shows it. */
export function eventLog(log: Log, limitCauses: readonly string[], originSetting: string): Partial<Events> {
	/** One line a second at the most, with how many were left out since the one before. */
	const limited = (level: 'info' | 'warn', text: string) =>
		rateLimited(1_000, (leftOut: number, fields: object) => log[level]({ ...fields, leftOut }, text));
	const logOrigin = limited('info', 'an origin that --origin does not allow');
	const logLimit = limited('warn', 'no room for a subscriber: a limit is reached');
	const logClosed = limited('warn', 'a connection was closed that sent too many requests at once, or did not read its answers');
	const logFlood = limited('warn', 'a websocket was closed that sent too much at once');
	const logSlow = limited('info', 'a subscriber did not keep up and was disconnected');
	const logQuestion = limited('warn', 'the authorisation service (--auth) gave no usable answer');
	const logJudgement = limited('warn', 'the publish hook (--publish-hook) gave no usable answer');
	const logShared = limited(
		'warn',
		'a second connection has the session of one that is open: the service should give each a new one',
	);
	const logDropped = {
		webhook: limited('warn', 'a webhook (--webhook) did not accept its events, and they were dropped'),
		close_callback: limited('warn', 'a close callback (--close-callback) was not accepted, and was dropped'),
	};
	const logGap = limited('warn', 'messages of the relay are missed, and the subscribers of their channels are closed (1012)');
	const logRelay = {
		brought: limited(
			'warn',
			'the relay brought a payload that is not a message (docs/scaling.md has the format); it was dropped',
		),
		refused: limited('warn', 'the relay refused a command, and nothing was done'),
	};
	const isDebug = log.isLevelEnabled('debug');

	const events: Partial<Events> = {
		refused({ cause, status, path, origin, ip }) {
			const isLimit = limitCauses.includes(cause);
			const isClosed = status === undefined;
			// The others are the client's own fault; these may be the configuration's.
			if (cause !== 'origin' && !isLimit && !isClosed && !isDebug) return;
			const fields = { event: 'refused', path, ip: ip(), origin, code: status, reason: cause };
			if (cause === 'origin') logOrigin({ ...fields, setting: originSetting });
			else if (isLimit) logLimit(fields);
			else if (isClosed) logClosed(fields);
			else log.debug(fields, 'refused');
		},
		slow: ({ name, subscribers }, { ip, session }, unreadBytes, cause) =>
			logSlow({ event: 'slow', path: name, ip, session, reason: cause, backlog: unreadBytes, subscribers }),
		sessionShared: (session, { name }, party) => logShared({ event: 'session', session, path: name, ip: party?.ip }),
		questioned(outcome, _, detail, about) {
			if (detail !== undefined && outcome !== 'stopping') logQuestion({ event: 'hook', ...about, reason: outcome, detail });
		},
		judged(_, detail, { name, ip, session }) {
			if (detail !== undefined) logJudgement({ event: 'hook', path: name, ip, session, reason: 'failed', detail });
		},
		calledBack(hook, outcome, count, detail) {
			if (outcome === 'dropped') logDropped[hook]({ event: 'hook', reason: outcome, count, detail });
		},
		flooded: (path, { ip, session }) => logFlood({ event: 'refused', path, ip, session, reason: 'flood' }),
		relayChanged(state, server, why) {
			if (state === 'up') log.info({ event: 'relay', server }, 'the relay (--relay) serves');
			else log.warn({ event: 'relay', server, reason: why }, 'the relay (--relay) cannot be reached; the server goes on trying');
		},
		relayGap: (server, channels, subscribers) => logGap({ event: 'relay', server, channels, subscribers }),
		relayDropped: (path, what, why) => logRelay[what]({ event: 'relay', path, reason: why }),
		fault: faultLog(log),
	};
	if (!isDebug) return events;
	return {
		...events,
		opened: ({ name, subscribers }, party) => log.debug({ event: 'open', ...party, path: name, subscribers }, 'subscribed'),
		closed(cause, { name, subscribers }, party, frame) {
			const reason = frame === undefined ? cause : Buffer.from(frame.reason).toString();
			log.debug({ event: 'close', ...party, path: name, subscribers, code: frame?.code, reason }, 'unsubscribed');
		},
		changed: ({ name }, party, joined, left) =>
			log.debug({ event: 'groups', ...party, path: name, joined, left }, 'a connection changed its channels'),
		published: (source, path, bytes, heardBy, party) =>
			log.debug({ event: 'publish', ...party, path, bytes, ...heardBy }, publishedBy[source]),
	};
}

const publishedBy = { websocket: 'published by websocket', post: 'published by POST', operator: 'published by the operator' };

/** How many kinds of faults are told apart; any more share one. */
const faultKindsMax = 20;

/** Logs what a handler threw, and where: each kind at most once a second, for clients may be able to make it happen again and again. */
export function faultLog(log: Log): Events['fault'] {
	const writers = new Map<string, Events['fault']>();
	const writer = () =>
		rateLimited(1_000, (leftOut: number, err: unknown, fields: object, text: string) =>
			log.error({ event: 'fault', err, ...fields, leftOut }, text),
		);
	return (error, fields, text) => {
		const stack = error instanceof Error ? String(error.stack) : String(error);
		const kind = writers.has(stack) || writers.size < faultKindsMax ? stack : '';
		const write = writers.get(kind) ?? writer();
		writers.set(kind, write);
		write(error, fields, text);
	};
}
