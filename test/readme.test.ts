// Holds the README to the code: its option table, and its protocol reference to the tests that quote it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { flagOf, optionTable } from '#src/options.js';
import { ambiguousFraming, otherInputs } from './support/malformed.js';

const root = new URL('../../', import.meta.url);
const readme = readFileSync(new URL('README.md', root), 'utf8');

test("the README's option table is the option table", () => {
	const rows = Object.entries(optionTable).map(([name, row]) => {
		const flag = `${flagOf(name as keyof typeof optionTable)}${'value' in row ? ` <${row.value}>` : ''}`;
		const shown = 'value' in row ? row.default && `\`${row.default}\`` : 'off';
		return `| \`${flag}\` | ${shown || 'none'} | ${row.help} |`;
	});
	const table = readme.slice(readme.indexOf('| flag | default | meaning |')).split('\n\n', 1)[0];
	assert.equal(table, ['| flag | default | meaning |', '|---|---|---|', ...rows].join('\n'));
});

test("every line of the README's protocol reference is quoted by a test, and every quotation stands there", () => {
	const section = /^## Protocol$(.*?)^## /ms.exec(readme)?.[1] ?? '';
	const lines = section.split('\n').filter((line) => line.startsWith('- '));
	const sources = readdirSync(new URL('test/', root), { recursive: true, encoding: 'utf8' })
		.filter((file) => file.endsWith('.test.ts'))
		.map((file) => readFileSync(new URL(`test/${file}`, root), 'utf8'))
		.join('\n');
	const quoted = [...sources.matchAll(/\bprotocol\(\s*(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)")/g)].map(
		([, single, double]) => `- ${(single ?? double ?? '').replace(/\\(.)/g, '$1')}`,
	);
	assert.ok(lines.length > 30);
	assert.deepEqual([...new Set(quoted)].sort(), lines.sort());
});

test('the README tells what each engine does with malformed input, as the tests of framing find it', () => {
	const groups = new Map<string, string[]>();
	for (const { input, newer, older } of [...otherInputs, ...ambiguousFraming]) {
		const outcomes = `${newer} | ${older}`;
		groups.set(outcomes, [...(groups.get(outcomes) ?? []), input]);
	}
	const rows = [...groups].map(([outcomes, inputs]) => `| ${inputs.join('; ')} | ${outcomes} |`);
	const table = readme.slice(readme.indexOf('| input | 20.57 | 20.30 |')).split('\n\n', 1)[0];
	assert.equal(table, ['| input | 20.57 | 20.30 |', '|---|---|---|', ...rows].join('\n'));
});
