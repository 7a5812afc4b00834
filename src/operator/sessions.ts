// The operator's endpoints for sessions, as kuiperbelt has them: send to one or more, close them, and look one up. The texts of its
// answers are kuiperbelt's too.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setImmediate as tick } from 'node:timers/promises';
import { closes } from '../connections/closes.js';
import type { Connection } from '../connections/connection.js';
import type { Publisher } from '../http/publisher.js';
import { isRefused, type Refused } from '../http/reply.js';
import type { Events } from '../observe/events.js';
import type { Log } from '../observe/log.js';
import type { Channel } from '../pubsub/channel.js';
import { type ChannelName, isSession, parseSessionName } from '../pubsub/channel-name.js';
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
	readonly log: Log;
	readonly onPublishRefused: (cause: string) => void;
};

// Some milliseconds' work: a request may name thousands of sessions, and a service may give one name to thousands of connections.
const namesPerTick = 200;
const shownMax = 1_000;

type Errors = { readonly error: string; readonly session?: string; readonly channel?: string }[];
/** Whom a request means: sessions that are there, and channels; and what is wrong with the other sessions. */
type Targets = { readonly names: ChannelName[]; readonly missing: Errors };

export function sessionEndpoints(parts: SessionParts): Endpoint[] {
	const { hub, publisher, sessionHeader, strictBroadcast, maxMessage, closeConnections, closeChannel, events, log } = parts;

	/** Answers a request that does something to sessions and channels, by `act`, which gives how many subscribers got its body. */
	function answerWith(act: (name: ChannelName, message: Message) => number) {
		return async ({ req }: { readonly req: IncomingMessage }): Promise<OperatorAnswer> => {
			const body = await readRequestBody(req, maxMessage);
			const message = publisher.read(body, bodyHead(req.headers), 'server');
			if ('cause' in message) {
				parts.onPublishRefused(message.cause);
				return { ...failed(message.status, [{ error: message.reason }]), headers: Object.fromEntries(message.headers ?? []) };
			}
			const targets = targetsOf(req);
			if (Array.isArray(targets)) return failed(400, targets);
			const { names, missing } = targets;
			if (missing.length > 0 && (strictBroadcast || prefersStrict(req.headers))) {
				parts.onPublishRefused('nobody');
				return failed(400, missing);
			}
			let heard = 0;
			for (const [index, name] of names.entries()) {
				if (index % namesPerTick === namesPerTick - 1) await tick();
				heard += act(name, message);
			}
			if (missing.length === 0) return json(200, { result: 'OK' });
			if (heard === 0) parts.onPublishRefused('nobody');
			return json(200, { errors: missing, result: heard > 0 ? 'OK' : 'NG' });
		};
	}

	/** Whom the header fields name, or what is wrong with them. */
	function targetsOf({ headersDistinct }: IncomingMessage): Targets | Errors {
		const names = (headersDistinct[sessionHeader.toLowerCase()] ?? [])
			.flatMap((value) => value.split(','))
			.map((name) => name.trim());
		const paths = headersDistinct['x-channel'] ?? [];
		const targets: Targets = { names: [], missing: [] };
		for (const session of new Set(names.filter((name) => name !== ''))) {
			const channel = find(session);
			if (channel === undefined) targets.missing.push({ error: 'session is not found.', session });
			else targets.names.push(channel.name);
		}
		for (const path of new Set(paths)) {
			const name = parts.readNameOfField(path);
			if (isRefused(name)) return [{ error: name.reason, channel: path }];
			targets.names.push(name);
		}
		return targets.names.length + targets.missing.length > 0 ? targets : [{ error: 'session header is missing' }];
	}

	function find(session: string): Channel | undefined {
		const name = parseSessionName(session);
		return name && hub.find(name);
	}

	function send(name: ChannelName, message: Message): number {
		const subscribers = publisher.publish(name, message, { ifMatch: undefined });
		if (isRefused(subscribers)) return 0;
		events.published('operator', name, message.bytes.byteLength, subscribers, undefined);
		return subscribers;
	}

	/** Sends the last message. The name is free at once: what is sent to it from now on is for others. */
	function close(name: ChannelName, message: Message): number {
		const subscribers = send(name, message);
		const channel = hub.find(name);
		if (channel === undefined) return subscribers;
		if (isSession(name)) {
			hub.close(channel, () => closeConnections(connectionsOf(channel), closes.sessionClosed), ignore);
		} else {
			log.info({ event: 'delete', path: name, subscribers }, 'the operator closed a channel');
			void closeChannel(channel);
		}
		return subscribers;
	}

	function show(session: string): OperatorAnswer {
		const channel = find(session);
		if (channel === undefined) return text(404, 'No connection has this session.');
		const connections = connectionsOf(channel, shownMax).map((connection) => ({
			conn: connection.id,
			...pathsOf(connection),
			since: connection.grant.session && new Date(connection.grant.session.openedMs).toISOString(),
			ip: connection.address(),
			unread: parts.unreadBytesOf(connection),
		}));
		return json(200, { session, count: channel.subscribers, connections });
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

/** The connections that are subscribed to a channel, the newest first. */
function connectionsOf(channel: Channel, countMax = Number.POSITIVE_INFINITY): Connection[] {
	const connections: Connection[] = [];
	let subscription = channel.newest;
	for (; subscription !== undefined && connections.length < countMax; subscription = subscription.older) {
		// Every peer of a server is a connection.
		connections.push(subscription.peer as Connection);
	}
	return connections;
}

/** The path of a connection, or its paths if it has several channels (--groups). */
function pathsOf({ groups, subscription }: Connection): { path: string | undefined } | { paths: string[] } {
	return groups === undefined ? { path: subscription?.channel.name } : { paths: [...groups.paths()] };
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

const ignore = () => {};
