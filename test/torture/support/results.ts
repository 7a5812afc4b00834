// The results of the torture suite, one file for each engine, and their tables in docs/torture.md.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type Part, parts } from './parts.js';
import type { Row } from './torture.js';

/** One run of one part. */
export type PartResult = {
	readonly seed: number;
	/** The version of Node, the system, and its processors. */
	readonly machine: string;
	/** As in 2026-11-28. */
	readonly date: string;
	readonly seconds: number;
	readonly rows: readonly Row[];
};

/** The latest whole run of each part on one engine. */
export type EngineResult = { readonly engine: string } & { readonly [part in Part]?: PartResult };

const root = new URL('../../../../', import.meta.url);
const folder = new URL('test/torture/results/', root);
const document = new URL('docs/torture.md', root);

/** The engine of the file has the first two numbers of its version: `20.57`. */
function fileOf(engine: string): URL {
	return new URL(`${engine}.json`, folder);
}

/** Of every engine, the newest first. */
export function readResults(): EngineResult[] {
	return readdirSync(folder)
		.filter((file) => file.endsWith('.json'))
		.sort()
		.reverse()
		.map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')));
}

/** Puts these parts in the place of what the engine did before, in its file and in docs/torture.md. */
export function keepResults(engine: string, fresh: Partial<Record<Part, PartResult>>): void {
	mkdirSync(folder, { recursive: true });
	const file = fileOf(engine);
	const before: EngineResult = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { engine };
	writeFileSync(file, `${JSON.stringify({ ...before, ...fresh }, undefined, '\t')}\n`);
	writeFileSync(document, withTables(readFileSync(document, 'utf8'), readResults()));
}

/** The document with the tables of these results, each between a comment that opens its part and one that ends it. */
export function withTables(text: string, results: readonly EngineResult[]): string {
	return parts.reduce((changed, part) => {
		const [open, end] = [`<!-- ${part} -->`, `<!-- end of ${part} -->`];
		const [from, to] = [changed.indexOf(open), changed.indexOf(end)];
		if (from < 0 || to < from) throw new Error(`docs/torture.md has no ${open} before ${end}`);
		return `${changed.slice(0, from + open.length)}\n${tableOf(part, results)}\n${changed.slice(to)}`;
	}, text);
}

function tableOf(part: Part, results: readonly EngineResult[]): string {
	const engines = results.flatMap((result) => {
		const { [part]: own } = result;
		return own === undefined ? [] : [{ engine: result.engine, ...own }];
	});
	const rows = new Map<string, Row>();
	for (const { rows: own } of engines) for (const row of own) rows.set(row.thrown, row);
	const hasSections = [...rows.values()].some(({ section }) => section !== '');
	const columns = [...(hasSections ? ['section'] : []), 'thrown', 'promised', ...engines.map(({ engine }) => engine)];
	const lines = [...rows.values()].map((row) => {
		const happened = engines.map(({ rows: own }) => {
			const same = own.find(({ thrown }) => thrown === row.thrown);
			return same?.happened === undefined ? 'does not apply' : capitalised(same.happened);
		});
		return [...(hasSections ? [row.section] : []), capitalised(row.thrown), row.promised, ...happened];
	});
	const ran = engines.map(
		({ engine, machine, date, seed, seconds }) => `${engine}: ${machine}, on ${date}, seed ${seed}, in ${seconds} s.`,
	);
	return ['', ran.join('\n'), '', line(columns), line(columns.map(() => '---')), ...lines.map(line), ''].join('\n');
}

function capitalised(text: string): string {
	return text.startsWith('nginx') ? text : `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

function line(cells: readonly string[]): string {
	return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
}
