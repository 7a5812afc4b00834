// Holds the process to a budget of memory: says when it is over, who is to go, and whether nobody else may come.
import type { Log } from './log.js';

export type MemoryBudgetParts = {
	/** 0 for no budget. */
	readonly bytesMax: number;
	/** What the process holds in memory (RSS); undefined if that cannot be found out now. */
	readonly residentBytes: () => number | undefined;
	/** Tries to free so much. */
	readonly free: (bytes: number) => void;
	readonly log: Log;
};

/** How often to look: reading the figure takes some 20 µs. */
export const memoryLookMs = 500;

export class MemoryBudget {
	readonly #parts: MemoryBudgetParts;
	#isOver = false;
	#isFull = false;

	constructor(parts: MemoryBudgetParts) {
		this.#parts = parts;
	}

	/** Whether the process held more than the budget when last looked at. */
	get isOver(): boolean {
		return this.#isOver;
	}

	/** Whether it still does after the last look had something freed. */
	get isFull(): boolean {
		return this.#isFull;
	}

	/** Judges what the process holds now. */
	look(): void {
		const { bytesMax, free, log } = this.#parts;
		const residentBytes = bytesMax === 0 ? undefined : this.#parts.residentBytes();
		if (residentBytes === undefined) return;
		const wasOver = this.#isOver;
		this.#isOver = residentBytes > bytesMax;
		this.#isFull = wasOver && this.#isOver;
		if (this.#isOver !== wasOver) {
			const fields = { event: 'limits', bytes: residentBytes };
			if (this.#isOver) log.warn(fields, 'memory is over --memory-budget: laggards are disconnected, then nobody is let in');
			else log.info(fields, 'memory is within --memory-budget again');
		}
		if (this.#isOver) free(residentBytes - bytesMax);
	}
}

/** What this process holds in memory. Undefined while it has no file descriptor left to find out with. */
export function readResidentBytes(): number | undefined {
	try {
		return process.memoryUsage.rss();
	} catch {
		// Node opens a file of the system's for it; the lack of descriptors is told elsewhere.
		return undefined;
	}
}
