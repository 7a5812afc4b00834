// Asks the application's service whether a client may subscribe or publish, and reads the answer. Anything but a clear yes keeps it out.
import { type ChannelName, parseChannelField, parseSessionName, type SessionName } from '../pubsub/channel-name.js';
import { type Message, textMessage } from '../pubsub/message.js';
import { type Gate, waitingMax } from './gate.js';
import type { NoAnswer, Service, ServiceAnswer } from './service.js';

export type Question = {
	readonly action: 'subscribe' | 'publish';
	/** Of the client's request, for the log. */
	readonly path: string;
	readonly ip: string;
	/** Of the client's request, without the question mark. */
	readonly query: string;
	/** Name, value, name, value. */
	readonly headers: string[];
};

/** What an allowed client may do. */
export type Allowed = {
	readonly kind: 'allowed';
	/** The channel in place of the one of the path. */
	readonly rewrite: ChannelName | undefined;
	/** Where the client publishes: on its channel, nowhere, or on another channel. */
	readonly publishes: 'here' | 'nowhere' | ChannelName;
	/** After how many seconds the subscription is closed. */
	readonly maxAge: number | undefined;
	readonly session: SessionName | undefined;
	/** The first message of the subscriber. */
	readonly hello: Message | undefined;
};

const passedStatuses = [401, 403, 404, 429] as const;

/** What the service refuses, with what the client is told. Without a body, the service gave none that can be passed on. */
export type Denied = {
	readonly kind: 'denied';
	readonly status: (typeof passedStatuses)[number];
	readonly headers: readonly (readonly [name: string, value: string])[];
	readonly body: Buffer | undefined;
};

/** No usable answer. `detail` is for the log. */
export type Unanswered = {
	readonly kind: 'timeout' | 'unreachable' | 'malformed' | 'busy' | 'stopping';
	readonly detail: string;
};

export type Verdict = Allowed | Denied | Unanswered;

/** How a question ended: the label in the metrics. */
export const questionOutcomes = [
	'allowed',
	'denied',
	'timeout',
	'unreachable',
	'malformed',
	'busy',
	'stopping',
	'cancelled',
] as const satisfies readonly (Verdict['kind'] | 'cancelled')[];
export type QuestionOutcome = (typeof questionOutcomes)[number];

export type AuthorisationParts = {
	readonly service: Service;
	readonly gate: Gate;
	/** In seconds, from the arrival of the client's request. */
	readonly authTimeout: number;
	readonly sessionHeader: string;
	readonly maxMessage: number;
	readonly maxPath: number;
	/** Hears how each question ended, and after how many seconds. */
	readonly onEnd: (
		outcome: QuestionOutcome,
		seconds: number,
		detail: string | undefined,
		about: { path: string; ip: string },
	) => void;
};

// The body of a refusal is a line or some JSON for the client. With its head it must fit the engine's buffer of 16 KiB: see http/turns.ts.
const deniedBodyBytesMax = 8_192;
const maxAgeSecondsMax = 1e9;

export class Authorisation {
	readonly #parts: AuthorisationParts;
	/** The clients that want to subscribe, and wait for an answer. */
	readonly #subscribing = new Set<(verdict: Unanswered) => void>();

	constructor(parts: AuthorisationParts) {
		this.#parts = parts;
	}

	/** How many questions wait for their turn. */
	get waiting(): number {
		return this.#parts.gate.waiting;
	}

	/** Asks, and calls `done` once, unless the function that it gives cancels the question. */
	ask({ action, path, ip, query, headers }: Question, done: (verdict: Verdict) => void): () => void {
		const { service, gate, authTimeout, maxMessage, onEnd } = this.#parts;
		const startMs = performance.now();
		const deadlineMs = startMs + authTimeout * 1_000;
		let cancelRequest: (() => void) | undefined;
		let waiting: NodeJS.Timeout | undefined;
		let isOver = false;

		const end = (outcome: QuestionOutcome, detail: string | undefined): boolean => {
			if (isOver) return false;
			isOver = true;
			clearTimeout(waiting);
			this.#subscribing.delete(settle);
			if (cancelRequest !== undefined) {
				cancelRequest();
			} else {
				gate.withdraw(start);
			}
			onEnd(outcome, (performance.now() - startMs) / 1_000, detail, { path, ip });
			return true;
		};
		const settle = (verdict: Verdict): void => {
			if (end(verdict.kind, 'detail' in verdict ? verdict.detail : undefined)) done(verdict);
		};
		const start = (): void => {
			clearTimeout(waiting);
			const bodyBytesMax = Math.max(maxMessage, deniedBodyBytesMax);
			cancelRequest = service.ask(
				{ method: 'GET', query, headers, deadlineMs, bodyBytesMax },
				(answer) => settle('failure' in answer ? unanswered(answer) : this.#verdictOf(answer, action)),
				() => gate.leave(),
			);
		};

		if (action === 'subscribe') this.#subscribing.add(settle);
		// Every answer comes in a later turn.
		if (!gate.enter(start)) setImmediate(() => settle(busy));
		else if (cancelRequest === undefined) waiting = setTimeout(() => settle(noTurnInTime), authTimeout * 1_000);
		return () => void end('cancelled', undefined);
	}

	/** Ends the questions of clients that want to subscribe: the server stops. */
	stop(): void {
		// From the last to the first: in the other order, each question that ends would let a waiting one go out.
		for (const settle of [...this.#subscribing].reverse()) settle(stopping);
	}

	#verdictOf({ status, headers, body }: ServiceAnswer, action: Question['action']): Verdict {
		const denied = passedStatuses.find((passed) => passed === status);
		if (denied !== undefined) return deniedOf(denied, headers, body);
		if (status !== 200 && status !== 204) return malformed(`status ${status}`);
		const { sessionHeader, maxMessage, maxPath } = this.#parts;
		const given = fieldsOf(headers, ['x-rewrite', 'x-publish', 'x-max-age', sessionHeader.toLowerCase()]);
		if (typeof given === 'string') return malformed(given);
		const [rewrite, publish, maxAge, session] = given;
		const rewritten = rewrite === undefined ? undefined : readPath(rewrite, maxPath);
		if (rewritten === 'malformed') return malformed('X-Rewrite is not a path of this server, percent-encoded');
		const publishes = publish === undefined ? 'here' : publish === 'none' ? 'nowhere' : readPath(publish, maxPath);
		if (publishes === 'malformed') return malformed('X-Publish is neither "none" nor a path of this server, percent-encoded');
		const seconds = maxAge === undefined ? undefined : readSeconds(maxAge);
		if (seconds === 'malformed') return malformed('X-Max-Age is not a number of whole seconds, from 1 on');
		const named = session === undefined ? undefined : parseSessionName(session);
		if (session !== undefined && named === undefined) return malformed(`${sessionHeader} is not a name: ${sessionNameRule}`);
		if (status === 200 && named === undefined) return malformed(`status 200 without ${sessionHeader}; answer 204 to allow`);
		const hasHello = action === 'subscribe' && status === 200 && body?.length !== 0;
		const hello = hasHello ? readHello(body, maxMessage) : undefined;
		if (hello === 'malformed') return malformed(`the body is no message: UTF-8 of ${maxMessage} bytes at most`);
		return { kind: 'allowed', rewrite: rewritten, publishes, maxAge: seconds, session: named, hello };
	}
}

const sessionNameRule = 'up to 256 characters of visible ASCII, without commas, and not beginning with a slash';

function deniedOf(status: Denied['status'], headers: ServiceAnswer['headers'], body: Buffer | undefined): Denied {
	const passed = (['Retry-After', 'WWW-Authenticate'] as const).flatMap((name) => {
		const value = headers[name.toLowerCase()];
		return value === undefined ? [] : [[name, [value].flat().join(', ')] as const];
	});
	const isPassed = body !== undefined && body.length > 0 && body.length <= deniedBodyBytesMax;
	return { kind: 'denied', status, headers: passed, body: isPassed ? body : undefined };
}

// trim() would remove U+00A0 too, which can be the last byte of a character.
const blanksAround = /^[ \t]+|[ \t]+$/g;

/** The values of these fields, or what is wrong with them. */
function fieldsOf(headers: ServiceAnswer['headers'], names: readonly string[]): (string | undefined)[] | string {
	const values: (string | undefined)[] = [];
	for (const name of names) {
		const value = headers[name];
		if (Array.isArray(value)) return `${name} is given ${value.length} times`;
		values.push(value?.replace(blanksAround, ''));
	}
	return values;
}

function readPath(value: string, maxPath: number): ChannelName | 'malformed' {
	const name = parseChannelField(value, maxPath);
	return typeof name === 'string' ? name : 'malformed';
}

function readSeconds(value: string): number | 'malformed' {
	const seconds = Number(value);
	return /^[0-9]{1,10}$/.test(value) && seconds >= 1 && seconds <= maxAgeSecondsMax ? seconds : 'malformed';
}

function readHello(body: Buffer | undefined, bytesMax: number): Message | 'malformed' {
	if (body === undefined || body.length > bytesMax) return 'malformed';
	return textMessage(body, 'server') ?? 'malformed';
}

function malformed(detail: string): Unanswered {
	return { kind: 'malformed', detail };
}

function unanswered({ failure, detail }: NoAnswer): Unanswered {
	return { kind: failure, detail };
}

const noTurnInTime: Unanswered = { kind: 'timeout', detail: 'too many questions came before: no turn in time' };
const busy: Unanswered = { kind: 'busy', detail: `${waitingMax} questions wait already` };
const stopping: Unanswered = { kind: 'stopping', detail: 'the server stops' };
