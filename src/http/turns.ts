// Bounds how many answers are given in one tick, and how much of them is kept for clients that do not read.
import { Allowance } from '../connections/allowance.js';
import { Tick } from '../connections/tick.js';
import type { Reply } from './reply.js';

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
// The engine's buffer has 16 KiB, and answers of an earlier tick are no longer in it.
const bufferedBytesMax = 12_288;
// Four short answers. Even with so much left over from earlier ticks, 16 short answers stay below bufferedBytesMax.
const uncountedBytes = 2_048;

/**
 * How an answer is given. `kept`: at once, and the engine keeps it if the client does not read. `as it reads`: at once, and the rest of
 * the body goes out as the client reads. `next tick`: in the next tick.
 */
export type AnswerTurn = 'kept' | 'as it reads' | 'next tick';

/** Answers to requests. */
export class AnswerTurns {
	readonly #tick = new Tick(() => {});
	readonly #bytes = new Tick(() => {}, uncountedBytes);
	readonly #kept = new Allowance(keptBytesPerSecond, performance.now());

	/** Whether the engine would write an answer of this tick piece by piece. */
	mustCork(reply: Reply, isHead: boolean): boolean {
		return this.#tick.amount > gatheredPerTick && bodyBytesOf(reply, isHead) <= corkedBodyBytesMax;
	}

	/** Whether the answers of this tick, with the one whose turn was asked for last, may have filled the engine's buffer. */
	get mayHaveFilledBuffer(): boolean {
		return this.#bytes.amount > bufferedBytesMax;
	}

	turnOf(reply: Reply, isHead: boolean): AnswerTurn {
		const bodyBytes = bodyBytesOf(reply, isHead);
		this.#bytes.add(headBytes + bodyBytes);
		if (this.#tick.add(1 + bodyBytes / bytesPerAnswer) > answersPerTick) return 'next tick';
		if (this.#kept.take(performance.now(), headBytes + bodyBytes)) return 'kept';
		return bodyBytes === 0 ? 'next tick' : 'as it reads';
	}
}

function bodyBytesOf({ body }: Reply, isHead: boolean): number {
	return isHead || body === undefined ? 0 : body.length;
}
