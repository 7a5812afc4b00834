// What every HTTP door shares: the head read once, ambiguous framing turned away, refusals told of, a throw answered.
import type { HttpRequest, HttpResponse } from '../engine.js';
import type { Log } from '../operations/log.js';
import { handshakeWithoutGet, isHandshake } from './handshake.js';
import { type Refused, replyAndClose, replyRefused } from './reply.js';
import { ambiguity, hasBody, type RequestHead, readHead } from './request-head.js';

/** Answers a request, or gives the reason why not, to be answered with. */
export type Door<Rest extends unknown[] = []> = (res: HttpResponse, head: RequestHead, ...rest: Rest) => Refused | undefined;

/** Hears of every refusal, for the metrics and the log. The peer is its address as the engine has it. */
export type RefusalListener = (refused: Refused, head: RequestHead, peer: ArrayBuffer) => void;

export type DoorParts = {
	readonly onRefused: RefusalListener;
	readonly isStopping: () => boolean;
	readonly log: Log;
};

/** Makes an engine handler of a door. The engine aborts the process if a handler throws, or returns without an answer to come. */
export function openDoor<Rest extends unknown[]>(door: Door<Rest>, parts: DoorParts) {
	return (res: HttpResponse, req: HttpRequest, ...rest: Rest): void => {
		// Even for an answer in this turn: if the client is gone before it is written, the engine (20.30 and 20.57) looks for this, and
		// aborts the process if it is missing. A door that answers later puts its own in place of it.
		res.onAborted(() => {});
		const head = readHead(req);
		answer(res, head, parts, !hasBody(head), () => {
			const ambiguous = ambiguity(head);
			if (ambiguous === undefined)
				return head.method !== 'get' && isHandshake(head) ? handshakeWithoutGet : door(res, head, ...rest);
			const refused: Refused = { status: 400, cause: 'framing', reason: ambiguous };
			parts.onRefused(refused, head, res.getRemoteAddress());
			replyAndClose(res, refused);
			return undefined;
		});
	};
}

/**
 * Runs what answers a request: answers its refusal, and a throw with 500, if an answer is still owed. While the server
 * stops, the connection ends with it, but not while its body is coming: a reset could overtake the answer.
 */
export function answer(
	res: HttpResponse,
	head: RequestHead,
	{ onRefused, isStopping, log }: DoorParts,
	hasArrived: boolean,
	serve: () => Refused | undefined,
): void {
	try {
		const refused = serve();
		if (refused === undefined) return;
		onRefused(refused, head, res.getRemoteAddress());
		const isLast = refused.closesConnection === true || (hasArrived && isStopping());
		replyRefused(res, refused, head.method === 'head', isLast);
	} catch (error) {
		log.error(
			{ event: 'fault', err: error, path: head.path },
			'A handler threw; its request is answered with 500, and the server goes on.',
		);
		try {
			onRefused(fault, head, res.getRemoteAddress());
			replyRefused(res, fault, head.method === 'head', hasArrived && isStopping());
		} catch {
			// The engine throws if the answer was given, or the client has gone.
		}
	}
}

const fault: Refused = { status: 500, cause: 'fault', reason: 'The server failed to handle this request; its log says why.' };
