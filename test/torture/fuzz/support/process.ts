// What the system tells of another process, and what its own collector does.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Reports the memory of the server on SIGUSR2, after a collection, as a line of its log. */
const reportsMemory = `let reports = 0;
process.on('SIGUSR2', () => {
	gc();
	process.stdout.write(JSON.stringify({ event: 'memory ' + ++reports, heapUsed: process.memoryUsage().heapUsed }) + '\\n');
});`;

export const memoryReporting = ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(reportsMemory)}`];

export function residentBytes(pid: number): number {
	return 1_024 * Number(/^VmRSS:\s+([0-9]+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
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
