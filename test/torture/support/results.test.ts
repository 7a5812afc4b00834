// Holds docs/torture.md to the results that are kept, and shows how they become tables.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parts } from './parts.js';
import { type EngineResult, readResults, withTables } from './results.js';

const document = readFileSync(new URL('../../../../docs/torture.md', import.meta.url), 'utf8');

test('docs/torture.md shows the results that are kept', () => {
	assert.equal(withTables(document, readResults()), document);
});

test('the results have every part on both engines, thirty faults at least, and no row that failed', () => {
	const results = readResults();
	assert.deepEqual(
		results.map(({ engine }) => engine),
		['20.57', '20.30'],
	);
	for (const result of results) {
		for (const part of parts) {
			const rows = result[part]?.rows ?? assert.fail(`${part} is missing on ${result.engine}`);
			assert.ok(rows.length > 0, part);
			assert.deepEqual(
				rows.filter(({ happened }) => happened === undefined),
				[],
			);
			assert.equal(new Set(rows.map(({ thrown }) => thrown)).size, rows.length, `${part} has two rows of one title`);
		}
		assert.ok((result.faults?.rows.length ?? 0) >= 30);
	}
});

test('a row has a cell for each engine: what happened, or that the row does not apply there', () => {
	const run = { seed: 1, machine: 'Node 20', date: '2026-11-28', seconds: 2 };
	const row = { section: '', promised: 'It lives.', thrown: 'a flood', happened: 'it | lives' };
	const results: EngineResult[] = [
		{ engine: '20.57', faults: { ...run, rows: [{ ...row, thrown: 'an ebb' }] } },
		{ engine: '20.30', faults: { ...run, rows: [row] } },
	];
	const lines = withTables(document, results).split('\n');
	assert.ok(lines.includes('| thrown | promised | 20.57 | 20.30 |'));
	assert.ok(lines.includes('| A flood | It lives. | does not apply | It \\| lives |'));
	assert.ok(lines.includes('| An ebb | It lives. | It \\| lives | does not apply |'));
});
