// The log: one JSON object a line on standard output.
import { type Logger, pino } from 'pino';

export type Log = Logger;
export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export function createLog(level: LogLevel): Log {
	return pino({ level, base: null });
}

/**
 * Wraps a log line that clients can provoke: at most one every `intervalMs`, the next one with the number of those left
 * out, so that a flood of refusals neither fills a disk nor hides.
 */
export function rateLimited<Args extends unknown[]>(
	intervalMs: number,
	write: (leftOut: number, ...args: Args) => void,
	now: () => number = Date.now,
): (...args: Args) => void {
	let nextMs = Number.NEGATIVE_INFINITY;
	let leftOut = 0;
	return (...args) => {
		const nowMs = now();
		if (nowMs < nextMs) {
			leftOut++;
			return;
		}
		nextMs = nowMs + intervalMs;
		write(leftOut, ...args);
		leftOut = 0;
	};
}
