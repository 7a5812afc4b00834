// Closes many connections, evenly over a time.
import { setTimeout } from 'node:timers/promises';

/** The connections that are to be closed, a few at a time. */
export type Round = {
	/** Closes as many as that, if so many are left and this tick has room for them. Gives how many were closed. */
	close(count: number): number;
	/** Whether none is left. */
	isOver(): boolean;
};

// Short enough to be even, long enough to cost nothing.
const stepMsMin = 10;

/** Closes `total` connections by the share of the time that has passed, so that it makes up for what a busy loop has delayed. */
export async function spread(round: Round, total: number, overMs: number): Promise<void> {
	const startMs = performance.now();
	let closed = 0;
	while (!round.isOver()) {
		const elapsedMs = performance.now() - startMs;
		// At the end, all that are left.
		const due = elapsedMs < overMs ? Math.floor((total * elapsedMs) / overMs) - closed : Number.POSITIVE_INFINITY;
		const closedNow = round.close(due);
		closed += closedNow;
		if (closedNow < due) await new Promise(setImmediate);
		// The wait alone must not hold up the end of the process.
		else await setTimeout(Math.max(stepMsMin, overMs / Math.max(total, 1)), undefined, { ref: false });
	}
}
