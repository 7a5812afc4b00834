// Rows of the functions that need no server, for which fast-check makes the input.
import fc from 'fast-check';
import { inForm, torture } from '../../support/torture.js';

const runs = inForm(2_000, 50_000);
const { TEST_SEED } = process.env;
const parameters = { numRuns: runs, ...(TEST_SEED !== undefined && { seed: Number(TEST_SEED) | 0 }) };

/** A row of the cases of a property. */
export function pure<Values extends [unknown, ...unknown[]]>(
	thrown: string,
	promised: string,
	property: fc.IProperty<Values>,
): void {
	torture({ thrown, promised }, async () => {
		fc.assert(property, parameters);
		return `${runs.toLocaleString('en')} cases: the promise held in all`;
	});
}

/** Any text of up to 60 characters. */
export const text = fc.string({ unit: 'binary', maxLength: 60 });

/** Texts of the characters that a grammar is made of. */
export function madeOf(...words: readonly string[]): fc.Arbitrary<string> {
	return fc.array(fc.constantFrom(...words), { maxLength: 20 }).map((all) => all.join(''));
}
