// Says farewell to many, evenly over a time.
import { setTimeout } from 'node:timers/promises';

/** Those who are to go, bit by bit. */
export type Farewell = {
	/** Sends away as many as that, if so many are left and this tick has room for them, and tells how many. */
	send(count: number): number;
	/** Whether all have been sent away. */
	isOver(): boolean;
};

// Short enough to be even, long enough to cost nothing.
const stepMsMin = 10;

/** Sends away `total` by the share of the time that has gone by, so that what a busy loop has delayed is made up for. */
export async function spread(farewell: Farewell, total: number, overMs: number): Promise<void> {
	const startMs = performance.now();
	let sent = 0;
	while (!farewell.isOver()) {
		const elapsedMs = performance.now() - startMs;
		// At the end, whoever is left.
		const due = elapsedMs < overMs ? Math.floor((total * elapsedMs) / overMs) - sent : Number.POSITIVE_INFINITY;
		const sentNow = farewell.send(due);
		sent += sentNow;
		if (sentNow < due) await new Promise(setImmediate);
		// The wait alone must not hold up the end of the process.
		else await setTimeout(Math.max(stepMsMin, overMs / Math.max(total, 1)), undefined, { ref: false });
	}
}
