// One request and its answer, for every HTTP door: reads the head once, refuses ambiguous framing, tells of refusals, answers a throw.
import type { ClientAddress } from '../connections/client-address.js';
import type { HttpRequest, HttpResponse } from '../engine.js';
import type { Events, RequestAim } from '../observe/events.js';
import { readBody } from './body.js';
import { handshakeWithoutGet, isHandshake } from './handshake.js';
import { type RefusalCause, type Refused, type Reply, textReply, writeReply } from './reply.js';
import { ambiguity, hasBody, hasToken, type RequestHead, readHead } from './request-head.js';
import type { AnswerTurns } from './turns.js';

/** Serves a request: gives the answer, or the refusal, or nothing if it answers later by itself. */
export type Door<Rest extends unknown[] = []> = (
	res: HttpResponse,
	head: RequestHead,
	...rest: Rest
) => Reply | Refused | undefined;

export type DoorParts = {
	readonly events: Events;
	readonly isStopping: () => boolean;
	readonly turns: AnswerTurns;
	readonly clientAddress: ClientAddress;
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
			tellRefused(refused, head, res.getRemoteAddress(), parts);
			// Not in this turn, in which the engine would run what it has read after this request as another one. While the answer is
			// owed, it closes the connection instead.
			writeLater(res, () => writeReply(res, textReply(400, ambiguous, []), false, true, true));
			return undefined;
		});
	};
}

/**
 * Runs `serve` and writes what it gives: an answer, or a refusal. A throw is answered with 500, unless an answer was written. The
 * connection is closed after the answer if the client asks for that (RFC 9112, section 9.6), and while the server stops. If the body is
 * still coming, the connection is closed when all of it has come.
 */
export function answer(
	res: HttpResponse,
	head: RequestHead,
	parts: DoorParts,
	hasArrived: boolean,
	serve: () => Reply | Refused | undefined,
): void {
	try {
		const result = serve();
		if (result !== undefined) give(res, head, parts, result, hasArrived);
	} catch (error) {
		parts.events.fault(error, { path: head.path }, 'A handler threw; its request is answered with 500, and the server goes on.');
		try {
			give(res, head, parts, fault, hasArrived);
		} catch {
			// The engine throws if the answer was given, or the client has gone.
		}
	}
}

/** Whether the client wants the connection closed after the answer. */
export function endsConnection({ connection }: RequestHead): boolean {
	// Most clients send no Connection field, or keep-alive: the quick checks come first.
	return connection !== undefined && connection !== 'keep-alive' && hasToken(connection, 'close');
}

/** Tells of a refusal; without a status, of a connection that was closed instead. `peer` is its address as the engine has it. */
function tellRefused(
	{ cause, status }: { readonly cause: RefusalCause; readonly status?: number },
	head: RequestHead,
	peer: ArrayBuffer,
	{ events, clientAddress }: DoorParts,
): void {
	const { path, origin, forwardedFor } = head;
	events.refused({ cause, status, aim: aimOf(head), path, origin, ip: () => clientAddress(peer, forwardedFor) });
}

function aimOf(head: RequestHead): RequestAim {
	if (isHandshake(head)) return 'connect';
	return head.method === 'post' || head.method === 'put' ? 'publish' : 'other';
}

function give(res: HttpResponse, head: RequestHead, parts: DoorParts, result: Reply | Refused, hasArrived: boolean): void {
	let reply: Reply;
	let isLast = endsConnection(head) || (hasArrived && parts.isStopping());
	if ('cause' in result) {
		const { status, reason, headers = [], closesConnection = false } = result;
		tellRefused(result, head, res.getRemoteAddress(), parts);
		reply = textReply(status, reason, headers);
		isLast ||= closesConnection;
	} else {
		reply = result;
	}
	if (hasArrived || !isLast) giveInTurn(res, head, parts, reply, isLast);
	else
		readBody(
			res,
			{ announcedBytes: undefined, bytesMax: 0, isLast },
			() => giveInTurn(res, head, parts, reply, isLast),
			() => {},
		);
}

/**
 * Gives an answer at once, if this tick has room for it, else in the next. A client whose next request has arrived by then is closed by
 * the engine, which bounds what one connection makes us do in a tick; and so is one that sends another before it has read this answer.
 */
function giveInTurn(res: HttpResponse, head: RequestHead, parts: DoorParts, reply: Reply, isLast: boolean): void {
	const { turns } = parts;
	const isHead = head.method === 'head';
	const onClosed = (cause: RefusalCause) => {
		const peer = res.getRemoteAddress();
		return () => tellRefused({ cause }, head, peer, parts);
	};
	const turn = turns.turnOf(reply, isHead);
	const write = () => {
		if (!writeReply(res, reply, isHead, isLast, turn === 'kept')) res.onAborted(onClosed('unread'));
	};
	if (turn === 'next tick') writeLater(res, write, onClosed('pipelining'));
	else if (turns.mustCork(reply, isHead)) res.cork(write);
	else write();
}

function writeLater(res: HttpResponse, write: () => void, onClosed: () => void = () => {}): void {
	let isClosed = false;
	res.onAborted(() => {
		isClosed = true;
		onClosed();
	});
	setImmediate(() => {
		if (!isClosed) res.cork(write);
	});
}

const fault: Refused = { status: 500, cause: 'fault', reason: 'The server failed to handle this request; its log says why.' };
