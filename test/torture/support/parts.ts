// The parts of the torture suite. Each has a folder of its own, and a table in docs/torture.md.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const parts = ['conformance', 'fuzz', 'faults', 'exactness', 'soak'] as const;
export type Part = (typeof parts)[number];

export function isPart(name: string): name is Part {
	return (parts as readonly string[]).includes(name);
}

/** The compiled files of a part. */
export function filesOf(part: Part): string[] {
	const folder = fileURLToPath(new URL(`../${part}/`, import.meta.url));
	return readdirSync(folder)
		.filter((file) => file.endsWith('.torture.js'))
		.sort()
		.map((file) => `${folder}${file}`);
}
