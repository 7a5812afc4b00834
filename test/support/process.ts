// Reads the memory and the open descriptors of another process.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Command } from './command.js';

const reportsMemory = `let reports = 0;
process.on('SIGUSR2', () => {
	gc();
	const { rss, heapTotal, heapUsed } = process.memoryUsage();
	process.stdout.write(JSON.stringify({ event: 'memory ' + ++reports, heapUsed, native: rss - heapTotal }) + '\\n');
});`;

/** Arguments of a Node that reports its memory on SIGUSR2, after a collection, as a line of its log. */
export const memoryReporting = ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(reportsMemory)}`];

/** Bytes after a collection: in use on the heap of V8, and resident outside that heap. */
export type Memory = { readonly heapUsed: number; readonly native: number };

/** Gives a function that asks a server with `memoryReporting` for its memory. */
export function memoryReader(command: Command): () => Promise<Memory> {
	let reports = 0;
	return async () => {
		command.child.kill('SIGUSR2');
		return (await command.logged(`memory ${++reports}`)) as unknown as Memory;
	};
}

export function residentBytes(pid: number): number {
	return statusBytes(pid, 'VmRSS');
}

/** The most bytes that have been resident so far. */
export function peakBytes(pid: number): number {
	return statusBytes(pid, 'VmHWM');
}

function statusBytes(pid: number, field: string): number {
	const status = readFileSync(`/proc/${pid}/status`, 'latin1');
	return 1_024 * Number(new RegExp(`^${field}:\\s+([0-9]+) kB$`, 'm').exec(status)?.[1]);
}

/** Each open descriptor, as in `12 -> socket:[34]`. */
export function descriptorsOf(pid: number): string[] {
	return readdirSync(`/proc/${pid}/fd`).map((name) => {
		try {
			return `${name} -> ${readlinkSync(`/proc/${pid}/fd/${name}`)}`;
		} catch {
			return `${name} -> closed meanwhile`;
		}
	});
}
