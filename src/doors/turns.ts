// How much is done in one tick: what one connection, or all of them, may make us do before the others have their turn.
import { Allowance } from './allowance.js';
import type { Reply } from './reply.js';

// What a quiet server need not count by ticks.
const uncounted = 64;
// Some ten to twenty milliseconds' work. A client that does not wait for its answers can have tens of thousands of requests in one read.
const answersPerTick = 1_500;
// What takes as long to write as an answer does beside it.
const bytesPerAnswer = 2_048;
// What the engine may keep of answers that clients do not read, all together. It tells of that only where there is a body, and only
// instead of keeping it.
const keptBytesPerSecond = 1_048_576;
const headBytes = 512;
// Some twenty milliseconds' work; ten times that at `debug`, where each is a line of the log.
const messagesPerTick = 8_192;
// What each may still send in a tick when the others have sent so much.
const ownMessagesPerTick = 256;

/** Counts what is done in each tick, all connections together: the engine does not tell which requests come from one. */
class Tick {
	#amount = 0;
	#isEndScheduled = false;
	readonly #onEnd: () => void;

	constructor(onEnd: () => void) {
		this.#onEnd = onEnd;
	}

	/** Adds to what was done in this tick, and gives that. */
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

/** How an answer is given: at once, kept for a client that does not read; at once, but going out as it reads; in the next tick. */
export type AnswerTurn = 'kept' | 'as it reads' | 'next tick';

/** Answers to requests. */
export class AnswerTurns {
	readonly #tick = new Tick(() => {});
	readonly #kept = new Allowance(keptBytesPerSecond, performance.now());

	turnOf({ body }: Reply, isHead: boolean): AnswerTurn {
		const bodyBytes = isHead || body === undefined ? 0 : body.length;
		if (this.#tick.add(1 + bodyBytes / bytesPerAnswer) > answersPerTick) return 'next tick';
		if (this.#kept.take(performance.now(), headBytes + bodyBytes)) return 'kept';
		return bodyBytes === 0 ? 'next tick' : 'as it reads';
	}
}

/** What websockets send: messages, keepalives, pings and pongs. */
export class MessageTurns {
	/** How much each has sent since all together have sent too much. */
	readonly #own = new Map<object, number>();
	readonly #tick = new Tick(() => this.#own.clear());

	/** Whether this sender has not sent too much in this tick. */
	take(sender: object): boolean {
		if (this.#tick.add(1) <= messagesPerTick) return true;
		const own = (this.#own.get(sender) ?? 0) + 1;
		this.#own.set(sender, own);
		return own <= ownMessagesPerTick;
	}
}
