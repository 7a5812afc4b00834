// One HTTP service of the application: sends it a request, and gives a bounded answer, or the reason why there is none. The only import of
// undici, which is loaded with the first hook: 50 ms and 20 MB that a server without hooks does not pay.
import type { Dispatcher } from 'undici';

export type ServiceRequest = {
	readonly method: 'GET' | 'POST';
	/** Added to the query of the service's URL. */
	readonly query?: string;
	/** Name, value, name, value: ISO 8859-1, as HTTP has it. */
	readonly headers: string[];
	readonly body?: Uint8Array | string;
	/** When the answer must be here, by performance.now(). */
	readonly deadlineMs: number;
	/** The longest body of an answer that is read. */
	readonly bodyBytesMax: number;
};

export type ServiceAnswer = {
	readonly status: number;
	/** The names in lower case. A repeated field is an array. */
	readonly headers: Readonly<Record<string, string | string[] | undefined>>;
	/** Undefined if it is longer than it may be. */
	readonly body: Buffer | undefined;
};

/** Why there is no answer, with a line for the log. */
export type NoAnswer = { readonly failure: 'timeout' | 'unreachable' | 'malformed'; readonly detail: string };

export type Service = {
	/**
	 * Sends a request. Calls `done` once, in a later turn, unless it is cancelled by the function that this gives; and `onFree` once, when
	 * nothing is kept of the request any more. A request that is cancelled while its connection is being made is kept until that has ended.
	 */
	ask(request: ServiceRequest, done: (answer: ServiceAnswer | NoAnswer) => void, onFree?: () => void): () => void;
	/** Ends all connections. */
	close(): void;
};

/**
 * A service that is asked over at most so many connections, which are kept alive. `patienceMs` is how long a request may take at most.
 */
export async function connectService(url: URL, connections: number, patienceMs = 5_000): Promise<Service> {
	const { Pool } = await import('undici');
	// The deadline of each request is the only time limit. undici keeps a request that has ended until its connection is there: a host that
	// answers nothing must not keep more of them than come in that time.
	const pool = new Pool(url.origin, { connections, headersTimeout: 0, bodyTimeout: 0, connect: { timeout: patienceMs } });
	return {
		ask(request, done, onFree = () => {}) {
			const attempt = new Attempt(pool, pathOf(url, request.query), request, done, onFree);
			attempt.begin();
			return () => attempt.cancel();
		},
		close: () => void pool.destroy().catch(() => {}),
	};
}

function pathOf({ pathname, search }: URL, query: string | undefined): string {
	if (query === undefined || query === '') return pathname + search;
	return `${pathname}${search === '' ? '?' : `${search}&`}${query}`;
}

/** undici adds what it knows of the connection. */
type ServiceError = NodeJS.ErrnoException & { readonly socket?: { readonly bytesRead: number } };

class Attempt implements Dispatcher.DispatchHandler {
	readonly #pool: Dispatcher;
	readonly #path: string;
	readonly #request: ServiceRequest;
	readonly #done: (answer: ServiceAnswer | NoAnswer) => void;
	readonly #onFree: () => void;
	#controller: Dispatcher.DispatchController | undefined;
	#timer: NodeJS.Timeout | undefined;
	#isOver = false;
	#isRepeated = false;
	#status = 0;
	#headers: ServiceAnswer['headers'] = {};
	#pieces: Buffer[] = [];
	#bytes = 0;

	constructor(
		pool: Dispatcher,
		path: string,
		request: ServiceRequest,
		done: (answer: ServiceAnswer | NoAnswer) => void,
		onFree: () => void,
	) {
		this.#pool = pool;
		this.#path = path;
		this.#request = request;
		this.#done = done;
		this.#onFree = onFree;
	}

	begin(): void {
		this.#timer = setTimeout(() => this.#end(noAnswerInTime), this.#request.deadlineMs - performance.now());
		this.#send();
	}

	cancel(): void {
		this.#finish();
	}

	#send(): void {
		const { method, headers, body = null } = this.#request;
		this.#pool.dispatch({ method, path: this.#path, headers, body }, this);
	}

	onRequestStart(controller: Dispatcher.DispatchController): void {
		this.#controller = controller;
		if (this.#isOver) controller.abort(cancelled);
	}

	onResponseStart(_: Dispatcher.DispatchController, status: number, headers: ServiceAnswer['headers']): void {
		this.#status = status;
		this.#headers = headers;
	}

	onResponseData(_: Dispatcher.DispatchController, piece: Buffer): void {
		this.#bytes += piece.length;
		if (this.#bytes > this.#request.bodyBytesMax) this.#end({ status: this.#status, headers: this.#headers, body: undefined });
		else this.#pieces.push(piece);
	}

	onResponseEnd(): void {
		this.#controller = undefined;
		this.#end({ status: this.#status, headers: this.#headers, body: Buffer.concat(this.#pieces, this.#bytes) });
		this.#onFree();
	}

	onResponseError(_: Dispatcher.DispatchController, error: ServiceError): void {
		this.#controller = undefined;
		if (this.#isOver) {
			// In a later turn, as below.
			setImmediate(this.#onFree);
			return;
		}
		const { code = '', name, message } = error;
		if (this.#status === 0 && !this.#isRepeated && this.#mayRepeat(error)) {
			this.#isRepeated = true;
			this.#send();
			return;
		}
		// The parser's errors have no code in undici 7.
		const isMalformed = name === 'HTTPParserError' || malformedCodes.has(code);
		const noAnswer: NoAnswer = { failure: isMalformed ? 'malformed' : 'unreachable', detail: `${code} ${message}`.trim() };
		// In a later turn: undici tells of a request that it does not send before `dispatch` returns.
		setImmediate(() => {
			this.#end(noAnswer);
			this.#onFree();
		});
	}

	/**
	 * The service may close an idle connection just when the next request goes out on it. A POST is repeated only if it went out on a
	 * connection that had brought something before.
	 */
	#mayRepeat({ code = '', socket }: ServiceError): boolean {
		if (!connectionEnded.has(code)) return false;
		return this.#request.method === 'GET' || (socket?.bytesRead ?? 0) > 0;
	}

	#end(answer: ServiceAnswer | NoAnswer): void {
		if (this.#finish()) this.#done(answer);
	}

	/** Ends the attempt, and the request if it is still out. False if it has ended already. */
	#finish(): boolean {
		if (this.#isOver) return false;
		this.#isOver = true;
		clearTimeout(this.#timer);
		this.#controller?.abort(cancelled);
		return true;
	}
}

const malformedCodes = new Set(['UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UND_ERR_INVALID_ARG']);
const connectionEnded = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);
const noAnswerInTime: NoAnswer = { failure: 'timeout', detail: 'no whole answer in time' };
const cancelled = new Error('the request was cancelled');
