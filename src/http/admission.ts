// Who is let in as a subscriber, by websocket or event stream, and what is known of a client from then on.
import type { Expiry, Grant } from '../connections/connection.js';
import type { ReachedLimits } from '../connections/limits.js';
import type { Connections } from '../connections/registry.js';
import type { Allowed } from '../hooks/authorisation.js';
import type { Party } from '../observe/events.js';
import type { Channel } from '../pubsub/channel.js';
import { type ChannelName, parseChannelName, pathOf } from '../pubsub/channel-name.js';
import type { Message } from '../pubsub/message.js';
import type { OrderFailure, SharedOrder } from '../pubsub/order.js';
import { type Ask, askedClientOf, askForRequest } from './asking.js';
import type { Exchange } from './exchange.js';
import { type OriginPolicy, originRefusal } from './origin.js';
import { limitRefusals, relayRefusals, stopping } from './refusals.js';
import { isRefused, type Refused, type Reply } from './reply.js';
import type { RequestHead } from './request-head.js';

export type AdmissionParts = {
	readonly checkOrigin: OriginPolicy;
	readonly reachedLimits: ReachedLimits;
	/** Undefined without an authorisation service. */
	readonly ask: Ask | undefined;
	/** Undefined without a relay. */
	readonly order: SharedOrder | undefined;
	/** Whether something is to be known of every client: its address comes from a header, or the log or a hook names it. */
	readonly keepsParties: boolean;
	readonly connections: Connections;
	readonly isStopping: () => boolean;
	/** When a connection that opens now is to be closed, by performance.now(). */
	readonly expiry: () => number | undefined;
	/** Whether clients may publish by websocket. */
	readonly mayPublish: boolean;
	readonly maxPath: number;
};

export type Admitted = {
	readonly id: number;
	/** The channel, which may be another than that of the path. */
	readonly name: ChannelName;
	readonly grant: Grant;
	/** What the request tells of the client, where the log or a hook needs it. */
	readonly party: Party | undefined;
	/** The first message that it is sent. */
	readonly hello: Message | undefined;
};

/** A channel that a connection may join besides those that it has. */
export type Joinable = {
	/** The client's name for it. */
	readonly path: ChannelName;
	readonly name: ChannelName;
	/** Of this subscription. */
	readonly grant: Grant;
	readonly hello: Message | undefined;
};

/** Asks the authorisation service about a path. See Ask. */
export type AskAboutPath = (path: ChannelName, done: (answer: Allowed | Refused) => void) => () => void;

/** Why a connection may not join a channel. */
export type PathRefusal = { readonly path: ChannelName; readonly refused: Refused };

// Of one connection, so that a few connections with many channels do not keep the others waiting.
const questionsAtOnceMax = 16;

export class Admission {
	readonly #parts: AdmissionParts;
	/** What most connections may do. They share it. */
	readonly commonGrant: Grant;

	constructor(parts: AdmissionParts) {
		this.#parts = parts;
		this.commonGrant = { mayPublish: parts.mayPublish, publishesTo: undefined, expiry: undefined, session: undefined };
	}

	/** The channel that a request may subscribe to, or why it may subscribe to none. */
	channelFor({ path, origin, host }: RequestHead): ChannelName | Refused {
		const { checkOrigin, maxPath } = this.#parts;
		const name = parseChannelName(path, maxPath);
		if (isRefused(name)) return name;
		return checkOrigin(origin, host).isAllowed ? name : originRefusal;
	}

	/**
	 * Lets a client into a channel, unless the server stops, a limit is reached, or the authorisation service does not allow it. Calls
	 * `serve` with the outcome: at once, or when the service and the relay have answered, unless the client has gone.
	 */
	admit(
		name: ChannelName,
		exchange: Exchange,
		serve: (outcome: Admitted | Refused) => Reply | Refused | undefined,
	): Reply | Refused | undefined {
		const { ask } = this.#parts;
		// The service may name another channel.
		const refused = this.#whyNoRoom(ask === undefined ? name : undefined);
		if (refused !== undefined) return serve(refused);
		if (ask === undefined) return this.#join(name, exchange, undefined, serve);
		exchange.onGone = askForRequest(ask, exchange, 'subscribe', (answer) => {
			if ('cause' in answer) return serve(answer);
			const { rewrite = name } = answer;
			const refused = this.#whyNoRoom(rewrite);
			// A limit may have been reached meanwhile, or the server may be stopping.
			return refused === undefined ? this.#join(rewrite, exchange, answer, serve) : serve(refused);
		});
		return undefined;
	}

	/** Lets a client in when what is published on its channels comes to this server. */
	#join(
		name: ChannelName,
		exchange: Exchange,
		allowed: Allowed | undefined,
		serve: (outcome: Admitted | Refused) => Reply | Refused | undefined,
	): Reply | Refused | undefined {
		const { order } = this.#parts;
		const names = allowed?.session === undefined ? [name] : [name, allowed.session];
		if (order === undefined || names.every((name) => order.brings(name))) return serve(this.#admitted(name, exchange, allowed));
		exchange.onGone = order.bring(names, (failure) =>
			exchange.serveLater(() => {
				const refused = failure === undefined ? this.#whyNoRoom(name) : relayRefusals[failure];
				return serve(refused ?? this.#admitted(name, exchange, allowed));
			}),
		);
		return undefined;
	}

	/** Asks the authorisation service for the client of a request, also when the request is over; undefined without a service. */
	askingFor(exchange: Exchange): AskAboutPath | undefined {
		const { ask } = this.#parts;
		if (ask === undefined) return undefined;
		const client = askedClientOf(exchange);
		return (path, done) => ask({ ...client, head: { ...client.head, path: pathOf(path) } }, 'subscribe', done);
	}

	/** What a connection may join if no service is asked, or why it may not. */
	joinUnasked(paths: readonly ChannelName[]): Joinable[] | PathRefusal {
		if (paths[0] !== undefined && this.#parts.isStopping()) return { path: paths[0], refused: stopping };
		return paths.map((path) => ({ path, name: path, grant: this.commonGrant, hello: undefined }));
	}

	/**
	 * Asks whether a connection may join more channels, and calls `done` once, in a later turn: when the service has answered for all of
	 * them, or has refused one. Gives the function that takes the questions back.
	 */
	askToJoin(paths: readonly ChannelName[], ask: AskAboutPath, done: (answer: Joinable[] | PathRefusal) => void): () => void {
		const answers: Joinable[] = [];
		const questions: (() => void)[] = [];
		let answered = 0;
		const cancel = () => {
			// From the last to the first: in the other order, each question that ends would let a waiting one go out.
			for (const takeBack of questions.reverse()) takeBack();
		};
		const askNext = () => {
			const index = questions.length;
			const path = paths[index];
			if (path === undefined) return;
			const takeBack = ask(path, (answer) => {
				if ('cause' in answer) {
					cancel();
					done({ path, refused: answer });
					return;
				}
				const grant = this.#grantOf(answer, 'subscription');
				answers[index] = { path, name: answer.rewrite ?? path, grant, hello: answer.hello };
				if (++answered === paths.length) done(answers);
				else askNext();
			});
			questions.push(takeBack);
		};
		for (let i = 0; i < questionsAtOnceMax; i++) askNext();
		return cancel;
	}

	/**
	 * Waits until what is published on these channels comes to this server, and calls `done`: at once, or in a later turn. Gives the function
	 * that calls this off.
	 */
	bring(joining: readonly Joinable[], done: (refusal: PathRefusal | undefined) => void): () => void {
		const { order } = this.#parts;
		const missing = order && joining.filter(({ name }) => !order.brings(name));
		const [first] = missing ?? [];
		if (order === undefined || missing === undefined || first === undefined) {
			done(undefined);
			return () => {};
		}
		return order.bring(
			missing.map(({ name }) => name),
			(failure: OrderFailure | undefined) => done(failure && { path: first.path, refused: relayRefusals[failure] }),
		);
	}

	/** Why a connection that leaves some channels may not join these, all together; undefined if it may. */
	whyNoRoomFor(joining: readonly Joinable[], leaving: readonly Channel[]): PathRefusal | undefined {
		const { isStopping, reachedLimits, order } = this.#parts;
		if (joining[0] !== undefined && isStopping()) return { path: joining[0].path, refused: stopping };
		const unbrought = order && joining.find(({ name }) => !order.brings(name));
		if (unbrought !== undefined) return { path: unbrought.path, refused: relayRefusals.away };
		const reached = reachedLimits.forSubscriptions(
			joining.map(({ name }) => name),
			leaving,
		);
		const path = reached && joining[reached.index]?.path;
		return path && { path, refused: limitRefusals[reached.limit] };
	}

	#whyNoRoom(name: ChannelName | undefined): Refused | undefined {
		const { isStopping, reachedLimits } = this.#parts;
		if (isStopping()) return stopping;
		const limit = reachedLimits.forConnection(name);
		return limit === undefined ? undefined : limitRefusals[limit];
	}

	#admitted(name: ChannelName, exchange: Exchange, allowed: Allowed | undefined): Admitted {
		const { connections, keepsParties } = this.#parts;
		const id = connections.newId();
		const session = allowed?.session;
		const isKnown = keepsParties || session !== undefined;
		const party = isKnown ? { conn: id, ip: exchange.address(), origin: exchange.head.origin, session } : undefined;
		return { id, name, grant: this.#grantOf(allowed, 'connection'), party, hello: allowed?.hello };
	}

	#grantOf(allowed: Allowed | undefined, of: 'connection' | 'subscription'): Grant {
		const { publishes = 'here', maxAge } = allowed ?? {};
		const session = of === 'connection' ? allowed?.session : undefined;
		const expiry = this.#expiryOf(maxAge, of === 'connection' ? this.#parts.expiry() : undefined);
		if (publishes === 'here' && session === undefined && expiry === undefined) return this.commonGrant;
		return {
			mayPublish: this.#parts.mayPublish && publishes !== 'nowhere',
			publishesTo: publishes === 'here' || publishes === 'nowhere' ? undefined : publishes,
			expiry,
			session: session && { name: session, openedMs: Date.now() },
		};
	}

	/** The earlier of what the service and --max-age say. */
	#expiryOf(seconds: number | undefined, ageMs: number | undefined): Expiry | undefined {
		const expiredMs = seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + seconds * 1_000;
		if (ageMs !== undefined && ageMs <= expiredMs) return { atMs: ageMs, cause: 'age' };
		return seconds === undefined ? undefined : { atMs: expiredMs, cause: 'expired' };
	}
}
