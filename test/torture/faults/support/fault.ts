// A row of the faults, which gives up after two minutes: what it waits for may never happen.
import { describe, type TestContext } from 'node:test';
import { torture } from '../../support/torture.js';

export function fault(
	thrown: string,
	promised: string,
	check: (t: TestContext) => Promise<string>,
	skip: string | false = false,
) {
	torture({ thrown, promised }, check, { skip, timeout: 120_000 });
}

/** Runs the rows that `add` adds at once: they wait for time-outs, or for processes to start. */
export function faultsAtOnce(title: string, add: () => void): void {
	describe(title, { concurrency: true }, add);
}
