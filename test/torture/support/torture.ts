// A test of something that is thrown at the server. It makes one row of docs/torture.md.
import { type TestContext, test } from 'node:test';

export type Row = {
	/** The section of an RFC, where the row is about one. */
	readonly section: string;
	/** The hostile input or fault. It is the title of the test, and stands in one row only. */
	readonly thrown: string;
	readonly promised: string;
	/** The observed result, with its figures; undefined if the test failed. */
	readonly happened: string | undefined;
};

/** The start of a diagnostic message that carries a row. */
export const rowMark = 'row of docs/torture.md: ';

/** Fails the row unless `check` resolves. It gives what happened, as one or two short sentences or figures. */
export function torture(
	{ thrown, promised, section = '' }: { readonly thrown: string; readonly promised: string; readonly section?: string },
	check: (t: TestContext) => Promise<string>,
	options: { skip?: string | false; timeout?: number } = {},
): void {
	test(thrown, options, async (t) => {
		let happened: string | undefined;
		try {
			happened = await check(t);
		} finally {
			const row: Row = { section, thrown, promised, happened };
			t.diagnostic(`${rowMark}${JSON.stringify(row)}`);
		}
	});
}

/** Whether this run is the short form, as in CI. */
export const isQuick = process.env.TORTURE_QUICK === '1';

/** A number that differs between the short form and the whole. */
export function inForm(quick: number, whole: number): number {
	return isQuick ? quick : whole;
}

/** In a shorter soak, memory is still finding its size: its slopes are stated, and only what it grows is bounded. */
export const slopeMinutesMin = 20;

/** How long the soak takes, as `--minutes` says. */
export const soakMinutes = Number(process.env.TORTURE_MINUTES ?? 0.5);
