// The websocket of a channel: connects, keeps alive, and connects again until the page goes to another.
import { probe, refusalInWords } from './probe.js';
import { webSocketUrl } from './snippets.js';

export type State =
	| { readonly kind: 'connecting' | 'open' }
	/** Not open: why, and when it tries again, by performance.now(); undefined while it tries, or waits for the network. */
	| { readonly kind: 'closed' | 'refused' | 'offline'; readonly why: string; readonly retryMs: number | undefined };

export type Listener = {
	onState(state: State): void;
	onMessage(data: string | ArrayBuffer): void;
};

const keepaliveMs = 30_000;
const retryMsMax = 30_000;
// Longer than any handshake takes; browsers wait for minutes, and let no other begin to the same host meanwhile.
const handshakeMsMax = 15_000;
// A websocket that was open for less may have been closed for a reason that lasts.
const steadyMs = 5_000;

export class Connection {
	readonly #page: URL;
	readonly #listener: Listener;
	readonly #keepalive: number;
	#socket: WebSocket | undefined;
	#retry: number | undefined;
	#failures = 0;
	/** How often it has tried. */
	#tries = 0;
	/** What the server said when it closed the last one to restart. */
	#restart: string | undefined;
	#wasOffline = false;
	#isLeft = false;

	/** Connects to the channel that has its page at that address. */
	constructor(page: URL, listener: Listener) {
		this.#page = page;
		this.#listener = listener;
		this.#keepalive = window.setInterval(() => this.send(''), keepaliveMs);
		addEventListener('online', this.#online);
		addEventListener('offline', this.#offline);
		listener.onState({ kind: 'connecting' });
		this.#connect();
	}

	/** Whether it is open, and the text on its way. */
	send(text: string): boolean {
		if (this.#socket?.readyState !== WebSocket.OPEN) return false;
		this.#socket.send(text);
		return true;
	}

	/** Connects now, if it is not connected and waits for something. */
	retryNow(): void {
		if (this.#socket === undefined) this.#connect();
	}

	/** Closes it for good. */
	leave(): void {
		this.#isLeft = true;
		clearInterval(this.#keepalive);
		clearTimeout(this.#retry);
		removeEventListener('online', this.#online);
		removeEventListener('offline', this.#offline);
		const socket = this.#socket;
		if (socket?.readyState !== WebSocket.CONNECTING) socket?.close(1000);
		// The browser complains of one that is closed before it is open.
		else socket.onopen = () => socket.close(1000);
	}

	#connect(): void {
		clearTimeout(this.#retry);
		this.#retry = undefined;
		this.#tries++;
		const socket = new WebSocket(webSocketUrl(this.#page));
		const patience = setTimeout(() => socket.close(), handshakeMsMax);
		let openedMs: number | undefined;
		socket.binaryType = 'arraybuffer';
		socket.onopen = () => {
			clearTimeout(patience);
			openedMs = performance.now();
			this.#restart = undefined;
			this.#tell({ kind: 'open' });
		};
		socket.onmessage = ({ data }) => {
			if (!this.#isLeft) this.#listener.onMessage(data);
		};
		socket.onclose = ({ code, reason }) => {
			clearTimeout(patience);
			this.#socket = undefined;
			if (this.#isLeft) return;
			if (openedMs !== undefined && performance.now() - openedMs >= steadyMs) this.#failures = 0;
			if (openedMs === undefined) {
				void this.#notOpened();
				return;
			}
			const why = closeInWords(code, reason);
			if (code === 1001 || code === 1012) this.#restart = why;
			this.#retryAfter('closed', why);
		};
		this.#socket = socket;
	}

	async #notOpened(): Promise<void> {
		const tries = this.#tries;
		const answer = await probe(this.#page);
		// The network may have come back meanwhile, and the next try has begun: its outcome decides.
		if (tries !== this.#tries) return;
		// A server that stops answers requests to the end.
		if (answer.kind === 'subscribers' && this.#restart !== undefined) {
			this.#retryAfter('closed', this.#restart);
			return;
		}
		const { kind, why } = refusalInWords(answer);
		this.#retryAfter(kind, why);
	}

	#retryAfter(kind: 'closed' | 'refused', why: string): void {
		if (this.#isLeft) return;
		// Full jitter, so that a restarted server does not meet all its pages at once.
		const delayMs = Math.random() * Math.min(retryMsMax, 1_000 * 2 ** this.#failures++);
		const isOffline = !navigator.onLine;
		this.#tell({ kind: isOffline ? 'offline' : kind, why, retryMs: isOffline ? undefined : performance.now() + delayMs });
		// Offline too, quietly: a server on this very machine needs no network.
		this.#retry = window.setTimeout(() => {
			if (!isOffline) this.#tell({ kind, why, retryMs: undefined });
			this.#connect();
		}, delayMs);
	}

	#tell(state: State): void {
		if (!this.#isLeft) this.#listener.onState(state);
	}

	readonly #offline = (): void => {
		this.#wasOffline = true;
	};

	readonly #online = (): void => {
		this.#failures = 0;
		// The server may be gone without notice: waiting for its close frame would take long.
		if (this.#wasOffline && this.#socket !== undefined) {
			this.#socket.onclose = null;
			this.#socket.close();
			this.#socket = undefined;
			this.#tell({ kind: 'connecting' });
		}
		this.#wasOffline = false;
		this.retryNow();
	};
}

// RFC 6455, section 7.4.1, and the registry that it opened.
const codesInWords: Record<number, string> = {
	1000: 'closed normally',
	1001: 'the server is going away',
	1006: 'the connection was lost; a subscriber that does not keep up is cut in the same way',
	1008: 'against the rules',
	1009: 'the message was too long',
	1011: 'the server failed',
	1012: 'the server is restarting',
};

function closeInWords(code: number, reason: string): string {
	const words = reason === '' ? codesInWords[code] : reason;
	return words === undefined ? String(code) : `${code}, ${words}`;
}
