// A row of the faults. It gives up in the end, because the event that it waits for may never come.
import { describe, type TestContext } from 'node:test';
import { inForm, torture } from '../../support/torture.js';

export function fault(
	thrown: string,
	promised: string,
	check: (t: TestContext) => Promise<string>,
	skip: string | false = false,
) {
	torture({ thrown, promised }, check, { skip, timeout: inForm(120_000, 600_000) });
}

/** Runs the rows that `add` adds at once: they wait for time-outs, or for processes to start. */
export function faultsAtOnce(title: string, add: () => void): void {
	describe(title, { concurrency: true }, add);
}
