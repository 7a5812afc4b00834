// How many files and sockets this process may have open. Is asked before anything else is loaded.
import { readProcessReport } from '../process-report.js';

/** The process's limit of open files. Node has raised the soft one to the hard one at its start. */
export function readOpenFilesMax(): number {
	const soft = Number(readProcessReport().userLimits?.open_files?.soft);
	// "unlimited", or a system without such limits: descriptors are ints.
	return Number.isFinite(soft) ? soft : 2 ** 31 - 1;
}
