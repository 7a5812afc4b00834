// Asks a service about each message of a client before it is published: as it is, replaced, not at all, or refused.
import { type ChannelName, pathOf, type SessionName } from '../pubsub/channel-name.js';
import { keptMessage, type Message, textMessage, trustedMessage } from '../pubsub/message.js';
import { Gate, waitingMax } from './gate.js';
import type { EndpointFields } from './question.js';
import type { NoAnswer, Service, ServiceAnswer } from './service.js';

export type JudgedMessage = {
	readonly name: ChannelName;
	readonly message: Message;
	readonly session: SessionName | undefined;
	/** The client's address. */
	readonly ip: string;
};

/** What is done with a message. `reason` is for its client. */
export type Judgement =
	| { readonly kind: 'published' | 'replaced'; readonly message: Message }
	| { readonly kind: 'dropped' }
	| { readonly kind: 'refused' | 'failed'; readonly reason: string };

/** The label in the metrics. */
export const judgementOutcomes = ['published', 'replaced', 'dropped', 'refused', 'failed', 'busy'] as const satisfies readonly (
	| Judgement['kind']
	| 'busy'
)[];

export type PublishHookParts = {
	readonly service: Service;
	readonly atOnceMax: number;
	/** In seconds, from the turn of the message. */
	readonly authTimeout: number;
	/** How many bytes of one sender may wait. */
	readonly maxBacklog: number;
	readonly sessionHeader: string;
	readonly endpoint: EndpointFields;
	readonly maxMessage: number;
	/** Counts the messages that wait for their judgement, so that stopping can wait for them. */
	readonly inFlight: { begin(): void; end(): void };
	/** Hears of each judgement, and why there was no usable answer. */
	readonly onJudged: (outcome: (typeof judgementOutcomes)[number], detail: string | undefined, judged: JudgedMessage) => void;
};

type Held = { readonly judged: JudgedMessage; readonly done: (judgement: Judgement) => void };

// How many messages of one sender may wait.
const ownMax = 128;
// How many bytes of all senders may wait. When so many wait, only the first message of another sender is taken, up to twice as many bytes:
// a few clients that send more than the service judges must not keep the others out.
const heldBytesMax = 67_108_864;

export class PublishHook {
	readonly #parts: PublishHookParts;
	readonly #gate: Gate;
	/** For each sender, its messages that are not judged yet, in their order. The first is being judged. */
	readonly #held = new Map<object, Held[]>();
	#heldCount = 0;
	#heldBytes = 0;

	constructor(parts: PublishHookParts) {
		this.#parts = parts;
		this.#gate = new Gate(parts.atOnceMax, Number.POSITIVE_INFINITY);
	}

	/** How many messages wait for their judgement. */
	get held(): number {
		return this.#heldCount;
	}

	/**
	 * Has a message judged, after all earlier ones of its sender, and calls `done` in a later turn. The message is copied. False, and
	 * `done` is never called, if too many messages wait. After a refusal, what the sender has sent since is forgotten.
	 */
	judge(sender: object, judged: JudgedMessage, done: Held['done']): boolean {
		const own = this.#held.get(sender);
		const bytes = judged.message.bytes.byteLength;
		if (!this.#hasRoom(own ?? [], bytes)) {
			this.#parts.onJudged('busy', undefined, judged);
			return false;
		}
		const held = { judged: { ...judged, message: keptMessage(judged.message) }, done };
		this.#heldCount++;
		this.#heldBytes += bytes;
		this.#parts.inFlight.begin();
		if (own !== undefined) {
			own.push(held);
			return true;
		}
		this.#held.set(sender, [held]);
		this.#ask(sender, held);
		return true;
	}

	#hasRoom(own: readonly Held[], bytes: number): boolean {
		const { atOnceMax, maxBacklog } = this.#parts;
		const share = own.length === 0 ? 2 : 1;
		if (this.#heldCount >= share * (atOnceMax + waitingMax) || this.#heldBytes >= share * heldBytesMax) return false;
		return own.length < ownMax && bytesOf(own) + bytes <= maxBacklog;
	}

	#ask(sender: object, held: Held): void {
		const { service, authTimeout, maxMessage } = this.#parts;
		const { judged } = held;
		this.#gate.enter(() => {
			const deadlineMs = performance.now() + authTimeout * 1_000;
			// `judge` has copied the message.
			const body = judged.message.bytes as Uint8Array;
			const request = { method: 'POST', headers: this.#headersOf(judged), body, deadlineMs, bodyBytesMax: maxMessage } as const;
			service.ask(
				request,
				(answer) => this.#end(sender, held, answer),
				() => this.#gate.leave(),
			);
		});
	}

	#headersOf({ name, message, session, ip }: JudgedMessage): string[] {
		const { sessionHeader, endpoint } = this.#parts;
		const type = message.isBinary ? 'application/octet-stream' : 'text/plain; charset=utf-8';
		const headers = ['Content-Type', type, 'X-Channel', pathOf(name), ...endpoint()];
		if (ip !== '') headers.push('X-Real-IP', ip);
		if (session !== undefined) headers.push(sessionHeader, session);
		return headers;
	}

	#end(sender: object, { judged, done }: Held, answer: ServiceAnswer | NoAnswer): void {
		const judgement = judgementOf(answer, judged.message, this.#parts.maxMessage);
		const own = this.#held.get(sender) ?? [];
		this.#forget('reason' in judgement ? own.splice(0) : own.splice(0, 1));
		const [next] = own;
		if (next === undefined) this.#held.delete(sender);
		this.#parts.onJudged(judgement.kind, judgement.kind === 'failed' ? detailOf(answer) : undefined, judged);
		done(judgement);
		// The next message is judged when this one has been published.
		if (next !== undefined) this.#ask(sender, next);
	}

	#forget(held: readonly Held[]): void {
		this.#heldCount -= held.length;
		this.#heldBytes -= bytesOf(held);
		for (const _ of held) this.#parts.inFlight.end();
	}
}

function bytesOf(held: readonly Held[]): number {
	return held.reduce((sum, { judged }) => sum + judged.message.bytes.byteLength, 0);
}

function judgementOf(answer: ServiceAnswer | NoAnswer, message: Message, bytesMax: number): Judgement {
	if ('failure' in answer) return failed;
	const { status, body } = answer;
	if (status === 204) return { kind: 'published', message };
	if (status === 304) return { kind: 'dropped' };
	if (status === 403) return { kind: 'refused', reason: 'the server does not publish this message' };
	if (status !== 200 || body === undefined || body.length > bytesMax) return failed;
	if (body.length === 0) return { kind: 'dropped' };
	const replaced = message.isBinary ? trustedMessage(body, true, message.sender) : textMessage(body, message.sender);
	return replaced === undefined ? failed : { kind: 'replaced', message: replaced };
}

function detailOf(answer: ServiceAnswer | NoAnswer): string {
	return 'failure' in answer ? answer.detail : `status ${answer.status}, or a body that is no message`;
}

const failed: Judgement = { kind: 'failed', reason: 'the server could not find out whether to publish this message' };
