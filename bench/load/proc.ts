// What the kernel tells of processes: see proc(5).
import { readFileSync } from 'node:fs';

// Fixed for user space on every Linux architecture that Node supports (USER_HZ).
const ticksPerSecond = 100;

/** The CPU time that these processes have used, user and system, dead threads included, in seconds. */
export function cpuSeconds(pids: readonly number[]): number {
	let ticks = 0;
	for (const pid of pids) {
		const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
		// The second field, the name in parentheses, may hold spaces: utime and stime are the 12th and 13th after it.
		const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
		ticks += Number(fields[11]) + Number(fields[12]);
	}
	return ticks / ticksPerSecond;
}

/** The memory of these processes in bytes; what they share counts once (PSS). */
export function memoryBytes(pids: readonly number[]): number {
	let kibibytes = 0;
	for (const pid of pids) {
		const line = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'));
		kibibytes += Number(line?.[1]);
	}
	return kibibytes * 1_024;
}
