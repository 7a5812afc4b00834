// The files of deploy/, as a test runs them: only what stands in `places` is put in the place of what the file says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** What the file says, and what takes its place; each must stand there exactly so many times. */
export type Places = readonly (readonly [there: string, here: string, times?: number])[];

const root = new URL('../../../../', import.meta.url);

/** The text of a file of deploy/ with other ports and paths. */
export function deployed(file: string, places: Places): string {
	let text = readFileSync(new URL(`deploy/${file}`, root), 'utf8');
	for (const [there, here, times = 1] of places) {
		const parts = text.split(there);
		assert.equal(parts.length - 1, times, `${file} has "${there}" so many times`);
		text = parts.join(here);
	}
	return text;
}
