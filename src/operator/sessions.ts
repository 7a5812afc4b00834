// The operator's endpoints for sessions, as kuiperbelt has them: send to one or more, close them, and look one up. The texts of its
// answers are kuiperbelt's too.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setImmediate as tick } from 'node:timers/promises';
import { connectionsOf } from '../connections/channel-closing.js';
import type { Connection } from '../connections/connection.js';
import type { Publisher } from '../http/publisher.js';
import { isRefused, type Refused } from '../http/reply.js';
import type { Events } from '../observe/events.js';
import type { Log } from '../observe/log.js';
import { type ChannelName, isSession, parseSessionName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import { type Message, trustedMessage } from '../pubsub/message.js';
import type { Published } from '../pubsub/order.js';
import type { CloseByName } from './closing.js';
import { type Endpoint, json, type OperatorAnswer, text } from './endpoint.js';
import { publishedBy } from './publishing.js';
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
	readonly closeByName: CloseByName;
	/** Whether other servers share the channels and the sessions. */
	readonly isShared: boolean;
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

/** How many subscribers got a message, or why none did. */
type Heard = number | Refused;

export function sessionEndpoints(parts: SessionParts): Endpoint[] {
	const { hub, publisher, sessionHeader, strictBroadcast, maxMessage, closeByName, isShared, events, log } = parts;

	/** Answers a request that does something to sessions and channels, by `act`, which gives how many subscribers got its body, or why none did. */
	function answerWith(act: (name: ChannelName, message: Message) => Heard | Promise<Heard>) {
		return async ({ req }: { readonly req: IncomingMessage }): Promise<OperatorAnswer> => {
			const body = await readRequestBody(req, maxMessage);
			const message = publisher.read(body, bodyHead(req.headers), 'server');
			if ('cause' in message) return refuse(message);
			const targets = await targetsOf(req);
			if ('cause' in targets) return refuse(targets);
			if (Array.isArray(targets)) return failed(400, targets);
			const { names, missing } = targets;
			if (missing.length > 0 && (strictBroadcast || prefersStrict(req.headers))) {
				parts.onPublishRefused('nobody');
				return failed(400, missing);
			}
			let heard = 0;
			for (let index = 0; index < names.length; index += namesPerTick) {
				if (index > 0) await tick();
				const counts = await Promise.all(names.slice(index, index + namesPerTick).map((name) => act(name, message)));
				for (const count of counts) {
					// The relay has refused it for one name. It may have taken it for others.
					if (isRefused(count)) return refuse(count);
					heard += count;
				}
			}
			if (missing.length === 0) return json(200, { result: 'OK' });
			if (heard === 0) parts.onPublishRefused('nobody');
			return json(200, { errors: missing, result: heard > 0 ? 'OK' : 'NG' });
		};
	}

	function refuse({ status, cause, reason, headers = [] }: Refused): OperatorAnswer {
		parts.onPublishRefused(cause);
		return { ...failed(status, [{ error: reason }]), headers: Object.fromEntries(headers) };
	}

	/** Whom the header fields name, or what is wrong with them. */
	async function targetsOf({ headersDistinct }: IncomingMessage): Promise<Targets | Errors | Refused> {
		const names = (headersDistinct[sessionHeader.toLowerCase()] ?? [])
			.flatMap((value) => value.split(','))
			.map((name) => name.trim());
		const paths = headersDistinct['x-channel'] ?? [];
		const targets: Targets = { names: [], missing: [] };
		const sessions = [...new Set(names.filter((name) => name !== ''))];
		for (const { session, name, count } of await Promise.all(sessions.map(counted))) {
			if (typeof count === 'object') return count;
			if (name === undefined || count === 0) targets.missing.push({ error: 'session is not found.', session });
			else targets.names.push(name);
		}
		for (const path of new Set(paths)) {
			const name = parts.readNameOfField(path);
			if (isRefused(name)) return [{ error: name.reason, channel: path }];
			targets.names.push(name);
		}
		return targets.names.length + targets.missing.length > 0 ? targets : [{ error: 'session header is missing' }];
	}

	/** How many connections here, or how many servers, have a session; without a name, the text names no session. */
	async function counted(session: string) {
		const name = parseSessionName(session);
		if (name === undefined) return { session, name, count: 0 };
		if (!isShared) return { session, name, count: hub.find(name)?.subscribers ?? 0 };
		const published = await publishedBy(publisher, name, noMessage, { ifMatch: undefined });
		return { session, name, count: 'cause' in published ? published : heardBy(published) };
	}

	function send(name: ChannelName, message: Message): Heard | Promise<Heard> {
		const bytes = message.bytes.byteLength;
		const tell = (published: Published | Refused) => {
			if ('cause' in published) return published;
			events.published('operator', name, bytes, published, undefined);
			return heardBy(published);
		};
		const published = publishedBy(publisher, name, message, { ifMatch: undefined });
		return published instanceof Promise ? published.then(tell) : tell(published);
	}

	/** Sends the last message. Without a relay the name is free at once: later messages go to later connections. */
	async function close(name: ChannelName, message: Message): Promise<Heard> {
		const sending = send(name, message);
		const closing = closeByName(name);
		const subscribers = await sending;
		if (isRefused(subscribers)) return subscribers;
		// Without a relay nothing refuses it, and the answer does not wait for slow readers.
		const closed = isShared ? await closing : undefined;
		if (closed !== undefined && 'cause' in closed) return closed;
		if (!isSession(name)) log.info({ event: 'delete', path: name, subscribers }, 'the operator closed a channel');
		return subscribers;
	}

	function show(session: string): OperatorAnswer {
		const name = parseSessionName(session);
		const channel = name && hub.find(name);
		if (channel === undefined) return text(404, isShared ? 'No connection of this server has this session.' : noConnection);
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

/** How many subscribers a message went to, or how many servers, if the subscribers are not known. */
function heardBy({ subscribers, nodes = 0 }: Published): number {
	return subscribers ?? nodes;
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

const noMessage = trustedMessage(new Uint8Array(0), false, 'server');
const noConnection = 'No connection has this session.';
