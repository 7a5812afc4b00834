// The log: one JSON object a line, or text for a terminal; to standard output or to a file that can be rotated.
import { closeSync, openSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { StartError } from '../start-error.js';
import { withVisibleControls } from './visible-controls.js';

export type Log = Logger;
export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export const logFormats = ['json', 'text', 'auto'] as const;

export type LogOptions = {
	readonly level: (typeof logLevels)[number];
	readonly format: (typeof logFormats)[number];
	/** An absolute path; standard output, if undefined. */
	readonly file: string | undefined;
	readonly isTerminal: boolean;
	/** Hears that lines cannot be written. Only the newest are kept. */
	readonly onUnwritable: (code: string) => void;
};

// While a disk is full the next lines wait in memory, up to here; the server goes on.
const waitingBytesMax = 1_048_576;
// How long to wait before writing again to a full pipe or disk, if no new line does so before. At the end of the process, ten times.
const retryMs = 100;
const lastTries = 10;

export type OpenLog = {
	readonly log: Log;
	/** For after its file was renamed. Gives why the file cannot be opened, if so; the log then goes on in the one that is open. */
	readonly reopen: () => string | undefined;
	/** For the end of the process: gives a slow reader up to a second for the lines that wait. */
	readonly finish: () => void;
};

/** Throws a StartError if the file cannot be opened at first. */
export function createLog({ level, format, file, isTerminal, onUnwritable }: LogOptions): OpenLog {
	const unopenable = file === undefined ? undefined : whyNotOpened(file);
	if (unopenable !== undefined) throw new StartError(`${unopenable}, or choose another file.`);
	let triesLeft = 0;
	// The library would block the server while a reader of standard output does not read.
	const retryEAGAIN = () => triesLeft-- > 0;
	const destination = pino.destination({ dest: file ?? 1, append: true, sync: true, maxLength: waitingBytesMax, retryEAGAIN });
	let failure = '';
	destination.on('error', ({ code, message }: NodeJS.ErrnoException) => {
		failure = code ?? message;
		// The library itself does not try again when a mebibyte waits: it only drops new lines.
		retry.refresh();
		if (failure !== 'EAGAIN') onUnwritable(failure);
	});
	destination.on('drop', () => onUnwritable(failure));
	const writeWaiting = () => void destination.write('');
	const retry = setTimeout(writeWaiting, retryMs).unref();
	const isText = format === 'text' || (format === 'auto' && file === undefined && isTerminal);
	const toText = prettyFactory({ colorize: isTerminal && file === undefined, translateTime: 'SYS:standard', singleLine: true });
	const write = (line: string) => destination.write(withVisibleControls(isText ? String(toText(line)) : line));
	const log = pino(
		{ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
		{ write },
	);

	function reopen(): string | undefined {
		if (file === undefined) return undefined;
		// Checked first: the library throws, and would then close the old file twice.
		const reason = whyNotOpened(file);
		if (reason === undefined) destination.reopen();
		return reason;
	}

	function finish(): void {
		triesLeft = lastTries;
		writeWaiting();
	}
	return { log, reopen, finish };
}

function whyNotOpened(file: string): string | undefined {
	try {
		closeSync(openSync(file, 'a'));
		return undefined;
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException;
		const remedy = code === 'ENOENT' ? 'create its directory' : 'check its path and permissions';
		return `--log: ${file} cannot be written (${code}); ${remedy}`;
	}
}

/**
 * Wraps a log line that clients can provoke: at most one every `intervalMs`, the next one with the number of those left
 * out, so that a flood of refusals neither fills a disk nor hides.
 */
export function rateLimited<Args extends unknown[]>(
	intervalMs: number,
	write: (leftOut: number, ...args: Args) => void,
	// A monotonic clock: one that is set back by an hour would silence the line for an hour.
	now: () => number = () => performance.now(),
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
