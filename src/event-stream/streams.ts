// All event streams of a server: who is let in, and what keeps them alive.
import type { ClientAddress } from '../connections/client-address.js';
import { closes } from '../connections/closes.js';
import type { Membership } from '../connections/membership.js';
import type { Admission, Admitted } from '../http/admission.js';
import type { Door, Exchange } from '../http/exchange.js';
import type { OriginPolicy } from '../http/origin.js';
import { type HeaderLines, isRefused, type Refused, withHeaders } from '../http/reply.js';
import { hasBody } from '../http/request-head.js';
import type { Events } from '../observe/events.js';
import type { CatchUp } from '../slow/catch-up.js';
import { StreamConnection, type StreamParts } from './connection.js';
import type { StreamFanOut } from './fan-out.js';
import { preamble } from './format.js';

export type StreamDoorParts = {
	readonly fanOut: StreamFanOut;
	readonly admission: Admission;
	readonly membership: Membership;
	readonly catchUp: CatchUp;
	readonly events: Pick<Events, 'fault'>;
	readonly checkOrigin: OriginPolicy;
	readonly clientAddress: ClientAddress;
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

/** The door for event streams. It also starts the timers that keep them alive. */
export function streamDoor(parts: StreamDoorParts): Door {
	const { fanOut, admission, membership, catchUp, events, checkOrigin, clientAddress, pingTimeout } = parts;
	const streams = new Set<StreamConnection>();
	const unsure = new Set<StreamConnection>();
	const shared: StreamParts = {
		fanOut,
		unsure,
		guard,
		onRead: (stream) => catchUp.onRead(stream),
		leave(stream) {
			streams.delete(stream);
			membership.leave(stream, 'client', stream.party);
		},
		addressOf: (res) => clientAddress(res.getRemoteAddress(), undefined),
	};
	visitInTurn(streams, commentMs(pingTimeout), (stream) => stream.keepAlive());
	visitInTurn(unsure, probeMs, (stream) => stream.probe());

	return (exchange) => {
		const { head } = exchange;
		const { headers: cors } = checkOrigin(head.origin, head.host);
		const name = admission.channelFor(head);
		if (isRefused(name)) return withHeaders(name, cors);
		if (hasBody(head)) return withHeaders(noBody, cors);
		const headers = [...streamHeaders, ...cors, ...varyByAccept];
		return admission.admit(name, exchange, (admitted) => {
			if ('cause' in admitted) return withHeaders(admitted, cors);
			if (head.method === 'head') return { status: 200, headers };
			open(exchange, admitted, headers);
			return undefined;
		});
	};

	function open(exchange: Exchange, { id, name, grant, party, hello }: Admitted, headers: HeaderLines): void {
		const { res } = exchange;
		const stream = new StreamConnection(id, grant, party, res, shared);
		exchange.handOver(() => stream.gone());
		res.cork(() => {
			for (const [field, value] of headers) res.writeHeader(field, value);
			stream.write(preamble(retryMsMin + Math.floor(Math.random() * retryMsSpread)));
		});
		streams.add(stream);
		guard(stream, () => {
			membership.enter(stream, name, party);
			if (hello !== undefined) stream.send(hello);
		});
	}

	/** Does something to a stream, so that a throw ends the stream, and not the process. */
	function guard(stream: StreamConnection, act: () => void): void {
		try {
			act();
		} catch (error) {
			events.fault(error, {}, 'A handler threw; its event stream is ended, and the server goes on.');
			stream.end(closes.failed);
		}
	}
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
