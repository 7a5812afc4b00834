// Bounds the work of one tick: how many answers and messages are handled before the other connections have their turn.
import { Allowance } from '../connections/allowance.js';
import type { Reply } from './reply.js';

// A count this small is not reset at the end of its tick, so that a quiet server schedules nothing.
const uncounted = 64;
// Some ten to twenty milliseconds' work. A client that does not wait for its answers can have tens of thousands of requests in one read.
const answersPerTick = 1_500;
// From about so many answers on, the engine's buffer of 16 KiB may have been filled. Then it writes each header line of an answer with a
// system call of its own, unless the answer is corked: 1,500 answers took 100 ms, and 20 ms corked; and few of them fill a UNIX socket.
// Corking all would cost pipelined POSTs 6 %.
const gatheredPerTick = 96;
// A larger body may not fit the buffer beside its head. Corked, the engine would lose it where the client has left answers unread.
const corkedBodyBytesMax = 12_288;
// Writing that many bytes of a body takes as long as the rest of an answer.
const bytesPerAnswer = 2_048;
// The engine keeps answers that clients do not read. This bounds how much it keeps, for all clients together. The engine tells whether
// a client reads only for an answer with a body, and then it does not keep the body.
const keptBytesPerSecond = 1_048_576;
const headBytes = 512;
// Some fifteen milliseconds' work; up to eighty at `debug`, where each is a line of the log.
const messagesPerTick = 4_096;
// When that many have come, each websocket may still send this many in the same tick.
const ownMessagesPerTick = 128;

/** Counts what is done in each tick, all connections together: the engine does not tell which requests come from one. */
class Tick {
	#amount = 0;
	#isEndScheduled = false;
	readonly #onEnd: () => void;

	constructor(onEnd: () => void) {
		this.#onEnd = onEnd;
	}

	get amount(): number {
		return this.#amount;
	}

	/** Adds to the work of this tick, and gives the sum. */
	add(amount: number): number {
		this.#amount += amount;
		if (this.#amount > uncounted && !this.#isEndScheduled) {
			this.#isEndScheduled = true;
			setImmediate(this.#end);
		}
		return this.#amount;
	}

	readonly #end = (): void => {
		this.#isEndScheduled = false;
		this.#amount = 0;
		this.#onEnd();
	};
}

/**
 * How an answer is given. `kept`: at once, and the engine keeps it if the client does not read. `as it reads`: at once, and the rest of
 * the body goes out as the client reads. `next tick`: in the next tick.
 */
export type AnswerTurn = 'kept' | 'as it reads' | 'next tick';

/** Answers to requests. */
export class AnswerTurns {
	readonly #tick = new Tick(() => {});
	readonly #kept = new Allowance(keptBytesPerSecond, performance.now());

	/** Whether the engine would write an answer of this tick piece by piece. */
	mustCork(reply: Reply, isHead: boolean): boolean {
		return this.#tick.amount > gatheredPerTick && bodyBytesOf(reply, isHead) <= corkedBodyBytesMax;
	}

	turnOf(reply: Reply, isHead: boolean): AnswerTurn {
		const bodyBytes = bodyBytesOf(reply, isHead);
		if (this.#tick.add(1 + bodyBytes / bytesPerAnswer) > answersPerTick) return 'next tick';
		if (this.#kept.take(performance.now(), headBytes + bodyBytes)) return 'kept';
		return bodyBytes === 0 ? 'next tick' : 'as it reads';
	}
}

function bodyBytesOf({ body }: Reply, isHead: boolean): number {
	return isHead || body === undefined ? 0 : body.length;
}

/** Messages from websockets; keepalives, pings and pongs count too. */
export class MessageTurns {
	/** How many messages each websocket has sent since the limit for all was reached in this tick. */
	readonly #own = new Map<object, number>();
	readonly #tick = new Tick(() => this.#own.clear());

	/** Counts a message. False if this sender has sent too many in this tick. */
	take(sender: object): boolean {
		if (this.#tick.add(1) <= messagesPerTick) return true;
		const own = (this.#own.get(sender) ?? 0) + 1;
		this.#own.set(sender, own);
		return own <= ownMessagesPerTick;
	}
}
