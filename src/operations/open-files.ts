// How many files and sockets this process may have open. Imports nothing: it is asked before anything else is loaded.

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
