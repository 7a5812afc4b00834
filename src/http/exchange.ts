// One request and its answer: the head, read once, and one answer, now or later, unless the client has gone.
import type { ClientAddress } from '../connections/client-address.js';
import type { HttpRequest, HttpResponse } from '../engine.js';
import type { Events, RequestAim } from '../observe/events.js';
import { readBody } from './body.js';
import { handshakeWithoutGet, isHandshake } from './handshake.js';
import { prefersEventStream } from './quality.js';
import { type RefusalCause, type Refused, type Reply, refusalReply, textReply, writeReply } from './reply.js';
import { ambiguity, hasBody, hasToken, type RequestHead, readHead } from './request-head.js';
import type { AnswerTurns } from './turns.js';

/** Serves a request: gives the answer, or the refusal, or nothing if it answers later by itself. */
export type Door<Rest extends unknown[] = []> = (exchange: Exchange, ...rest: Rest) => Reply | Refused | undefined;

export type DoorParts = {
	readonly events: Events;
	readonly isStopping: () => boolean;
	readonly turns: AnswerTurns;
	readonly clientAddress: ClientAddress;
	/** Whether an authorisation service is asked, which is told all header fields. */
	readonly isAsking: boolean;
};

/** Makes an engine handler of a door. */
export function openDoor<Rest extends unknown[]>(door: Door<Rest>, parts: DoorParts) {
	return (res: HttpResponse, req: HttpRequest, ...rest: Rest): void => {
		const exchange = new Exchange(res, readHead(req, parts.isAsking), parts);
		exchange.serve(() => {
			const { head } = exchange;
			const ambiguous = ambiguity(head);
			if (ambiguous !== undefined) return exchange.refuseAmbiguous(ambiguous);
			return head.method !== 'get' && isHandshake(head) ? handshakeWithoutGet : door(exchange, ...rest);
		});
	};
}

export class Exchange {
	readonly head: RequestHead;
	/** For a door that has the engine upgrade the connection, or read the body. */
	readonly res: HttpResponse;
	/** Whether all of the request has arrived. Set by the reader of its body. */
	hasArrived: boolean;
	/** Hears that the client has gone, or was closed by the engine, before it had the answer. */
	onGone: () => void = ignore;
	readonly #parts: DoorParts;
	/** Whether there is no connection any more. Nothing can be asked of `res` then. */
	#isGone = false;
	/** Whether the handler's own turn is over, in which the engine corks the response by itself. */
	#isLater = false;

	constructor(res: HttpResponse, head: RequestHead, parts: DoorParts) {
		this.res = res;
		this.head = head;
		this.hasArrived = !hasBody(head);
		this.#parts = parts;
		// Even for an answer in this turn: if the client has gone before it is written, the engine (20.30 and 20.57) looks for this, and
		// aborts the process if it is missing.
		res.onAborted(() => {
			this.#isGone = true;
			this.onGone();
		});
	}

	/** Leaves the answer, and the news that the client has gone, to something that lives longer, so that this can be forgotten. */
	handOver(onGone: () => void): void {
		this.res.onAborted(onGone);
	}

	/** The client's address, behind trusted proxies too. */
	address(): string {
		return this.#parts.clientAddress(this.res.getRemoteAddress(), this.head.forwardedFor);
	}

	/** The same, and the address of the peer, which may be a proxy. */
	addresses(): { readonly client: string; readonly peer: string } {
		const { clientAddress } = this.#parts;
		const { forwardedFor } = this.head;
		const bytes = this.res.getRemoteAddress();
		const peer = clientAddress(bytes, undefined);
		return { client: forwardedFor === undefined ? peer : clientAddress(bytes, forwardedFor), peer };
	}

	/** Whether the client wants the connection closed after the answer (RFC 9112, section 9.6). */
	get isLast(): boolean {
		const { connection } = this.head;
		// Most clients send no Connection field, or keep-alive: the quick checks come first.
		return connection !== undefined && connection !== 'keep-alive' && hasToken(connection, 'close');
	}

	/** Whether the engine (20.30 and 20.57) closes the connection by itself after the answer: it takes any five letters for `close`. */
	get #isClosedByEngine(): boolean {
		return this.head.connection?.length === 5;
	}

	/**
	 * Runs `serve` and answers with what it gives. A throw is answered with 500, unless an answer was written: the engine aborts the
	 * process if a handler throws, or returns without an answer to come.
	 */
	serve(serve: () => Reply | Refused | undefined): void {
		try {
			const result = serve();
			if (result !== undefined) this.answer(result);
		} catch (error) {
			const fields = { path: this.head.path };
			this.#parts.events.fault(error, fields, 'A handler threw; its request is answered with 500, and the server goes on.');
			try {
				this.answer(fault);
			} catch {
				// The engine throws if the answer was given, or the client has gone.
			}
		}
	}

	/** The same in a later turn, unless the client has gone. */
	serveLater(serve: () => Reply | Refused | undefined): void {
		if (this.#isGone) return;
		this.onGone = ignore;
		this.#isLater = true;
		this.serve(serve);
	}

	/**
	 * Has the engine upgrade the connection, by a bound method of the response. In a later turn it is corked, and nothing may be allocated
	 * until that is over: the engine (20.57 and 20.30) then looks at memory that the upgrade has freed, and closes the connection if something
	 * else has been written there (uWebSockets, pull request 1929). So no function of ours may run, and no built-in one such as push: as they
	 * begin, V8 may install code that its compilers have finished, which allocates.
	 */
	upgrade(boundUpgrade: () => void): void {
		if (this.#isLater) this.res.cork(boundUpgrade);
		else boundUpgrade();
	}

	/**
	 * Gives the answer, once. The connection is closed after it if the client asks for that, while the server stops, and after some
	 * refusals. If the body is still coming then, it is discarded first, or the client would not get the answer.
	 */
	answer(result: Reply | Refused): void {
		let reply: Reply;
		let isLast = this.isLast || (this.hasArrived && this.#parts.isStopping());
		if ('cause' in result) {
			const { status, closesConnection = false } = result;
			this.#tellRefused(result.cause, status, this.res.getRemoteAddress());
			reply = refusalReply(result);
			isLast ||= closesConnection;
		} else {
			reply = result;
		}
		// The engine does not say so (RFC 9112, section 9.6).
		if (this.#isClosedByEngine) reply = { ...reply, headers: [...reply.headers, ['Connection', 'close']] };
		if (this.hasArrived || !isLast) this.#writeInTurn(reply, isLast);
		else readBody(this, { announcedBytes: undefined, bytesMax: 0, isLast }, () => this.#writeInTurn(reply, isLast));
	}

	/** Answers a request whose end is ambiguous. Nothing after it on its connection may run as a request. */
	refuseAmbiguous(reason: string): undefined {
		this.#tellRefused('framing', 400, this.res.getRemoteAddress());
		// Not in this turn, in which the engine would run what it has read after this request as another one. While the answer is owed,
		// it closes the connection instead.
		const reply = textReply(400, reason, []);
		// The engine (20.30) closes with an answer that has a body, and a HEAD must get none.
		const written = this.head.method === 'head' ? { ...reply, body: '' } : reply;
		this.#writeLater(() => writeReply(this.res, written, false, true, true));
	}

	/**
	 * Writes at once, if this tick has room for it, else in the next. A client whose next request has arrived by then is closed by the
	 * engine, which bounds what one connection makes the server do in a tick; and so is a client that sends another request before it
	 * has read this answer.
	 */
	#writeInTurn(reply: Reply, isLast: boolean): void {
		const { res } = this;
		const { turns } = this.#parts;
		const isHead = this.head.method === 'head';
		const turn = turns.turnOf(reply, isHead);
		const write = () => {
			if (!writeReply(res, reply, isHead, isLast, turn === 'kept')) this.#tellIfGone('unread');
		};
		if (turn === 'next tick') {
			this.#tellIfGone('pipelining');
			this.#writeLater(write);
		} else if (!this.#isLater && (this.#isClosedByEngine || this.isLast || (isLast && turns.mayHaveFilledBuffer))) {
			// An answer that closes the connection waits until the engine has read everything. If answers have filled the buffer of the
			// engine (20.30), it would close at once, and then keep the bytes after the request in memory that it has freed. A client that
			// has not asked for the close may have sent another request, and the engine drops it if it reads that before this answer.
			this.#writeLater(write);
		} else if (this.#isLater || turns.mustCork(reply, isHead)) {
			res.cork(write);
		} else {
			write();
		}
	}

	#writeLater(write: () => void): void {
		setImmediate(() => {
			if (this.#isGone) return;
			this.onGone = ignore;
			this.res.cork(write);
		});
	}

	#tellIfGone(cause: RefusalCause): void {
		const peer = this.res.getRemoteAddress();
		this.onGone = () => this.#tellRefused(cause, undefined, peer);
	}

	/** Tells of a refusal; without a status, of a connection that was closed instead. `peer` is its address as the engine has it. */
	#tellRefused(cause: RefusalCause, status: number | undefined, peer: ArrayBuffer): void {
		const { events, clientAddress } = this.#parts;
		const { path, origin, forwardedFor } = this.head;
		events.refused({ cause, status, aim: aimOf(this.head), path, origin, ip: () => clientAddress(peer, forwardedFor) });
	}
}

function aimOf(head: RequestHead): RequestAim {
	if (isHandshake(head) || (head.method === 'get' && prefersEventStream(head.accept))) return 'connect';
	return head.method === 'post' || head.method === 'put' ? 'publish' : 'other';
}

const ignore = () => {};
const fault: Refused = { status: 500, cause: 'fault', reason: 'The server failed to handle this request; its log says why.' };
