// Holds the process to a budget of memory: says when it is over, has memory freed, and says when no more connections may be let in.
import type { Log } from '../observe/log.js';

export type MemoryBudgetParts = {
	/** 0 for no budget. */
	readonly bytesMax: number;
	/** What the process holds in memory (RSS); undefined if that cannot be found out now. */
	readonly residentBytes: () => number | undefined;
	/** How many connections there are. */
	readonly connections: () => number;
	/** Tries to free so much. */
	readonly free: (bytes: number) => void;
	readonly log: Log;
};

/** How often to look: reading the figure takes some 20 µs. */
export const memoryLookMs = 500;

// Growth below this share of the budget is noise.
const noise = 0.01;

/**
 * The system's allocator keeps much of what connections give back, for the next ones: what the process holds may stay above the budget
 * when a crowd has left. So there is room for as many connections as there were when the process last grew.
 */
export class MemoryBudget {
	readonly #parts: MemoryBudgetParts;
	/** Whether the process held more than the budget at the last look, and at the one before. */
	#isOver = false;
	#wasOver = false;
	#peakBytes = 0;
	#room = 0;

	constructor(parts: MemoryBudgetParts) {
		this.#parts = parts;
		this.look();
	}

	/** Whether the process holds more than the budget, with at least as many connections as there is room for. */
	get isOver(): boolean {
		return this.#isOver && this.#parts.connections() >= this.#room;
	}

	/** Whether it still does after the last look had something freed. */
	get isFull(): boolean {
		return this.#wasOver && this.isOver;
	}

	/** Judges what the process holds now. */
	look(): void {
		const { bytesMax, connections, free, log } = this.#parts;
		const residentBytes = bytesMax === 0 ? undefined : this.#parts.residentBytes();
		if (residentBytes === undefined) return;
		this.#wasOver = this.#isOver;
		this.#isOver = residentBytes > bytesMax;
		if (!this.#wasOver) {
			this.#room = connections();
			this.#peakBytes = residentBytes;
		} else if (residentBytes > this.#peakBytes + noise * bytesMax) {
			this.#room = Math.min(this.#room, connections());
			this.#peakBytes = residentBytes;
		}
		if (this.#isOver !== this.#wasOver) {
			const fields = { event: 'limits', bytes: residentBytes, subscribers: this.#room };
			if (this.#isOver)
				log.warn(fields, 'memory is over --memory-budget: slow subscribers are disconnected, then subscribers are refused');
			else log.info(fields, 'memory is within --memory-budget again');
		}
		if (this.isOver) free(residentBytes - bytesMax);
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
