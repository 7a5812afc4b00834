// All event streams of a server: who is let in, and what keeps them alive.
import type { ClientAddress } from '../connections/client-address.js';
import type { ReachedLimit } from '../connections/limits.js';
import type { Membership } from '../connections/membership.js';
import type { Connections } from '../connections/registry.js';
import type { Door } from '../http/exchange.js';
import { type OriginPolicy, originRefusal } from '../http/origin.js';
import { limitRefusals, stopping } from '../http/refusals.js';
import { type HeaderLines, isRefused, type Refused, type Reply } from '../http/reply.js';
import { hasBody } from '../http/request-head.js';
import { parseChannelName } from '../pubsub/channel-name.js';
import type { CatchUp } from '../slow/catch-up.js';
import { StreamConnection, type StreamParts } from './connection.js';
import type { StreamFanOut } from './fan-out.js';
import { preamble } from './format.js';

export type StreamDoorParts = {
	readonly fanOut: StreamFanOut;
	readonly membership: Membership;
	readonly connections: Connections;
	readonly catchUp: CatchUp;
	readonly checkOrigin: OriginPolicy;
	readonly reachedLimit: ReachedLimit;
	readonly clientAddress: ClientAddress;
	/** Whether an address comes from a header, and must be kept from the request on. */
	readonly isBehindProxies: boolean;
	/** Whether the log names every client. */
	readonly namesClients: boolean;
	readonly isStopping: () => boolean;
	/** When a connection that opens now is to be closed. */
	readonly expiry: () => number | undefined;
	readonly maxPath: number;
	/** In seconds. */
	readonly pingTimeout: number;
};

const streamHeaders: HeaderLines = [
	['Content-Type', 'text/event-stream'],
	['Cache-Control', 'no-store'],
	// nginx passes each event on at once.
	['X-Accel-Buffering', 'no'],
	['X-Content-Type-Options', 'nosniff'],
];
const varyByAccept: HeaderLines = [['Vary', 'Accept']];

// Spread, so that clients that were closed together do not return together. By two seconds a server that stops has closed its idle
// connections: over one of them a browser would get a 503, and not try again.
const retryMsMin = 2_000;
const retryMsSpread = 3_000;
// How often some of them are visited.
const stepMs = 250;
// The engine drops a connection ten seconds after a write that left something unread: a subscriber has until --write-timeout.
const probeMs = 4_000;

/** The door for event streams. It runs timers while there are streams. */
export function streamDoor(parts: StreamDoorParts): Door {
	const { fanOut, membership, connections, catchUp, checkOrigin, reachedLimit, clientAddress } = parts;
	const { isBehindProxies, namesClients, isStopping, expiry, maxPath, pingTimeout } = parts;
	const streams = new Set<StreamConnection>();
	const unsure = new Set<StreamConnection>();
	const shared: StreamParts = {
		fanOut,
		unsure,
		onRead: (subscription) => catchUp.onRead(subscription),
		leave(connection, cause) {
			streams.delete(connection);
			membership.leave(connection, cause, connection.party);
		},
		addressOf: (res) => clientAddress(res.getRemoteAddress(), undefined),
	};
	visitInTurn(streams, commentMs(pingTimeout), (stream) => stream.keepAlive());
	visitInTurn(unsure, probeMs, (stream) => stream.probe());

	return (exchange) => {
		const { head, res } = exchange;
		const name = parseChannelName(head.path, maxPath);
		if (isRefused(name)) return name;
		const verdict = checkOrigin(head.origin, head.host);
		const refused = (refusal: Refused): Refused => ({ ...refusal, headers: [...(refusal.headers ?? []), ...verdict.headers] });
		if (!verdict.isAllowed) return refused(originRefusal);
		if (hasBody(head)) return refused(noBody);
		const headers = [...streamHeaders, ...verdict.headers, ...varyByAccept];
		if (head.method === 'head') return { status: 200, headers } satisfies Reply;
		if (isStopping()) return refused(stopping);
		const limit = reachedLimit(name);
		if (limit !== undefined) return refused(limitRefusals[limit]);
		const id = connections.newId();
		const ip = namesClients || isBehindProxies ? exchange.address() : undefined;
		const party = ip === undefined ? undefined : { conn: id, ip, origin: head.origin };
		// A stream only listens.
		const stream = new StreamConnection(id, { mayPublish: false, expiresMs: expiry() }, party, res, shared);
		exchange.handOver(() => stream.gone());
		res.cork(() => {
			for (const [field, value] of headers) res.writeHeader(field, value);
			stream.write(preamble(retryMsMin + Math.floor(Math.random() * retryMsSpread)));
		});
		streams.add(stream);
		membership.enter(stream, name, party);
		return undefined;
	};
}

const noBody: Refused = {
	status: 400,
	cause: 'body',
	reason: 'A request for an event stream has no body.',
	closesConnection: true,
};

/** The time between two comments, for --ping-timeout in seconds. */
export function commentMs(pingTimeout: number): number {
	return pingTimeout > 0 ? (pingTimeout / 2) * 1_000 : 25_000;
}

/** Visits all of a set once in every period, some of them at a time. */
function visitInTurn(streams: Set<StreamConnection>, periodMs: number, visit: (stream: StreamConnection) => void): void {
	const steps = Math.max(1, Math.floor(periodMs / stepMs));
	// An iterator of a Set goes on where it was, whatever comes and goes meanwhile.
	let round = streams.values();
	let step = 0;
	let visited = 0;
	setInterval(() => {
		step++;
		// In the last step, whatever is left.
		const due = step < steps ? Math.ceil((streams.size * step) / steps) : Number.POSITIVE_INFINITY;
		while (visited < due) {
			const { done, value } = round.next();
			if (done) break;
			visited++;
			visit(value);
		}
		if (step < steps) return;
		round = streams.values();
		step = 0;
		visited = 0;
	}, periodMs / steps).unref();
}
