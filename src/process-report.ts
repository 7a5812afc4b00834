// What Node reports of this process and its system. Imports nothing: it is asked before anything else is loaded.

/** The parts of Node's diagnostic report that are read here. Fields that a system does not have are absent. */
export type ProcessReport = {
	readonly header: {
		/** The version of the GNU C library; absent on Linux with musl, and on other systems. */
		readonly glibcVersionRuntime?: string;
	};
	readonly userLimits?: { readonly open_files?: { readonly soft: number | string } };
};

export function readProcessReport(): ProcessReport {
	// Its types lack this. Without it, the report asks the name server for every peer's name.
	const report = process.report as NonNullable<typeof process.report> & { excludeNetwork: boolean };
	const { excludeNetwork } = report;
	report.excludeNetwork = true;
	const read = report.getReport() as ProcessReport;
	report.excludeNetwork = excludeNetwork;
	return read;
}
