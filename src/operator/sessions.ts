// The operator's endpoints for sessions, as kuiperbelt has them: send to one or more, close them, and look one up. The texts of its
// answers are kuiperbelt's too.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setImmediate as tick } from 'node:timers/promises';
import { closes } from '../connections/closes.js';
import type { Connection } from '../connections/connection.js';
import { connectionsOf } from '../connections/sessions.js';
import type { Publisher } from '../http/publisher.js';
import { isRefused, type Refused } from '../http/reply.js';
import type { Events } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import { type ChannelName, parseSessionName } from '../pubsub/channel-name.js';
import type { Close } from '../pubsub/close.js';
import type { Hub } from '../pubsub/hub.js';
import type { Message } from '../pubsub/message.js';
import { type Endpoint, json, type OperatorAnswer, text } from './endpoint.js';
import { bodyHead, readRequestBody } from './request-body.js';

export type SessionParts = {
	readonly hub: Hub;
	readonly publisher: Publisher;
	/** Reads a path in a header field, or says why it names no channel. */
	readonly readNameOfField: (value: string) => ChannelName | Refused;
	readonly sessionHeader: string;
	/** Whether nothing is done if a session is not there; a request can ask for that by `Prefer: handling=strict`. */
	readonly strictBroadcast: boolean;
	readonly maxMessage: number;
	/** Closes connections, each after everything that was published to it. */
	readonly closeConnections: (connections: readonly Connection[], close: Close) => void;
	/** Closes every subscriber of a channel after everything that was published before. */
	readonly closeChannel: (channel: Channel) => Promise<void>;
	/** How many bytes wait for a connection to read. */
	readonly unreadBytesOf: (connection: Connection) => number;
	readonly events: Pick<Events, 'published'>;
	readonly onPublishRefused: (cause: string) => void;
};

// Some milliseconds' work: a request may name thousands.
const publishesPerTick = 200;

type Errors = { readonly error: string; readonly session?: string; readonly channel?: string }[];
/** Whom a request means: sessions that are there, channels, and what is wrong with the others. */
type Targets = { readonly sessions: Channel[]; readonly channels: ChannelName[]; readonly missing: Errors };

export function sessionEndpoints(parts: SessionParts): Endpoint[] {
	const { hub, publisher, sessionHeader, strictBroadcast, maxMessage, closeConnections, closeChannel, events } = parts;

	/** Answers a request that publishes its body to sessions and channels. `act` does so. */
	function answerWith(act: (targets: Targets, message: Message) => Promise<void>) {
		return async ({ req }: { readonly req: IncomingMessage }): Promise<OperatorAnswer> => {
			const body = await readRequestBody(req, maxMessage);
			const message = publisher.read(body, bodyHead(req.headers));
			if ('cause' in message) {
				parts.onPublishRefused(message.cause);
				return { ...failed(message.status, [{ error: message.reason }]), headers: Object.fromEntries(message.headers ?? []) };
			}
			const targets = targetsOf(req);
			if (Array.isArray(targets)) return failed(400, targets);
			const { sessions, channels, missing } = targets;
			const isStrict = strictBroadcast || prefersStrict(req.headers);
			const isForNobody = sessions.length + channels.length === 0;
			if (isForNobody || (isStrict && missing.length > 0)) parts.onPublishRefused('nobody');
			if (isStrict && missing.length > 0) return failed(400, missing);
			await act(targets, message);
			if (missing.length === 0) return json(200, { result: 'OK' });
			return json(200, { errors: missing, result: isForNobody ? 'NG' : 'OK' });
		};
	}

	/** Whom the header fields name, or what is wrong with them. */
	function targetsOf({ headersDistinct }: IncomingMessage): Targets | Errors {
		const names = (headersDistinct[sessionHeader.toLowerCase()] ?? [])
			.flatMap((value) => value.split(','))
			.map((name) => name.trim());
		const paths = headersDistinct['x-channel'] ?? [];
		const targets: Targets = { sessions: [], channels: [], missing: [] };
		for (const session of new Set(names.filter((name) => name !== ''))) {
			const channel = find(session);
			if (channel === undefined) targets.missing.push({ error: 'session is not found.', session });
			else targets.sessions.push(channel);
		}
		for (const path of new Set(paths)) {
			const name = parts.readNameOfField(path);
			if (isRefused(name)) return [{ error: name.reason, channel: path }];
			targets.channels.push(name);
		}
		const { sessions, channels, missing } = targets;
		return sessions.length + channels.length + missing.length > 0 ? targets : [{ error: 'session header is missing' }];
	}

	function find(session: string): Channel | undefined {
		const name = parseSessionName(session);
		return name && hub.find(name);
	}

	function publish(name: ChannelName, message: Message): void {
		const subscribers = publisher.publish(name, message, { ifMatch: undefined });
		if (!isRefused(subscribers)) events.published('operator', name, message.bytes.byteLength, subscribers, undefined);
	}

	async function send({ sessions, channels }: Targets, message: Message): Promise<void> {
		let published = 0;
		for (const name of [...sessions.map((session) => session.name), ...channels]) {
			if (published++ === publishesPerTick) {
				published = 0;
				await tick();
			}
			publish(name, message);
		}
	}

	async function close(targets: Targets, message: Message): Promise<void> {
		await send(targets, message);
		closeConnections(targets.sessions.flatMap(connectionsOf), closes.sessionClosed);
		for (const name of targets.channels) {
			const channel = hub.find(name);
			if (channel !== undefined) void closeChannel(channel);
		}
	}

	function show(session: string): OperatorAnswer {
		const channel = find(session);
		if (channel === undefined) return text(404, 'No connection has this session.');
		const connections = connectionsOf(channel).map((connection) => ({
			conn: connection.id,
			path: connection.subscription?.channel.name,
			since: connection.grant.session && new Date(connection.grant.session.openedMs).toISOString(),
			ip: connection.address(),
			unread: parts.unreadBytesOf(connection),
		}));
		return json(200, { session, connections });
	}

	return [
		{
			methods: ['POST'],
			path: '/send',
			help: `publishes the body to the sessions of ${sessionHeader}, and to the channels of X-Channel, each repeated or, for sessions, comma-separated`,
			answer: answerWith(send),
		},
		{
			methods: ['POST'],
			path: '/close',
			help: 'the same, then closes their websockets (1000) and event streams after it',
			answer: answerWith(close),
		},
		{
			methods: ['GET'],
			path: '/sessions/',
			example: '/sessions/alice',
			help: 'JSON: the connections of a session: path, since when, unread bytes; 404 if there is none',
			answer: ({ path }) => show(decoded(path.slice('/sessions/'.length))),
		},
	];
}

function failed(status: number, errors: Errors): OperatorAnswer {
	return json(status, { errors, result: 'NG' });
}

/** Whether the client prefers strict handling (RFC 7240, section 4.4). */
function prefersStrict({ prefer }: IncomingHttpHeaders): boolean {
	return /(^|[,;])\s*handling\s*=\s*"?strict"?\s*($|[,;])/i.test([prefer ?? ''].flat().join(','));
}

/** The text itself if it is malformed: it names no session then. */
function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}
