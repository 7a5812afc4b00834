// File descriptors: how many websockets they leave room for.
import type { Log } from './log.js';

// For requests, their answers of 503 included, the operator's listener, logs, and what Node itself holds (about 25).
const reserveMin = 64;
const reserveMax = 1_000;
// Who asks for no number expects more than this; every system in use today can be told to give it.
const connectionsExpected = 10_000;

/**
 * How many websockets there may be: as many as are asked for, 0 for all that the file descriptors allow, but never more
 * than these. Beyond them nothing could be accepted, not even to say so. Warns if it is less than somebody may expect.
 */
export function connectionLimit(asked: number, openFilesMax: number, log: Log): number {
	const reserve = Math.min(reserveMax, Math.max(reserveMin, Math.floor(openFilesMax / 4)));
	const allowed = Math.max(1, openFilesMax - reserve);
	const cause = `ulimit -n is ${openFilesMax}, which allows ${allowed} websockets`;
	const remedy = 'raise it (in systemd, LimitNOFILE=) for more';
	if (asked > allowed) {
		log.warn({ event: 'limits', connectionsMax: allowed }, `${cause}, not the --max-connections of ${asked}: ${remedy}`);
	} else if (asked === 0 && allowed < connectionsExpected) {
		log.warn({ event: 'limits', connectionsMax: allowed }, `${cause}: ${remedy}`);
	}
	return asked === 0 ? allowed : Math.min(asked, allowed);
}

/** The process's limit of open files. Node has raised the soft one to the hard one at its start. */
export function readOpenFilesMax(): number {
	// Its types lack this. Without it, the report asks the name server for every peer's name.
	const report = process.report as NonNullable<typeof process.report> & { excludeNetwork: boolean };
	const { excludeNetwork } = report;
	report.excludeNetwork = true;
	const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
	report.excludeNetwork = excludeNetwork;
	const soft = Number(userLimits?.open_files?.soft);
	// "unlimited", or a system without such limits: descriptors are ints.
	return Number.isFinite(soft) ? soft : 2 ** 31 - 1;
}
