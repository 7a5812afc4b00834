// What the kernel tells of processes: see proc(5).
import { readdirSync, readFileSync } from 'node:fs';

/**
 * The CPU time that the threads of these processes have used, user and system, in seconds, to the nanosecond: the ticks of
 * /proc/<pid>/stat are too coarse for a server that mostly waits. A thread that ends takes its time with it.
 */
export function cpuSeconds(pids: readonly number[]): number {
	let nanoseconds = 0;
	for (const pid of pids) {
		for (const thread of readdirSync(`/proc/${pid}/task`))
			nanoseconds += threadNanoseconds(`/proc/${pid}/task/${thread}/schedstat`);
	}
	return nanoseconds / 1e9;
}

function threadNanoseconds(schedstat: string): number {
	try {
		return Number.parseInt(readFileSync(schedstat, 'latin1'), 10);
	} catch {
		return 0; // It has ended since it was listed.
	}
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
