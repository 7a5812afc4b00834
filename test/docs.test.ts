// Holds the documents to the code and to each other: the option table, the protocol reference, the table of limits, and every link.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { flagOf, optionTable } from '#src/options/table.js';
import { ambiguousFraming, otherInputs } from './support/malformed.js';

const root = new URL('../../', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, root), 'utf8');
const tableIn = (text: string, head: string) => text.slice(text.indexOf(head)).split('\n\n', 1)[0]?.trimEnd();

test('the table of docs/options.md is the option table', () => {
	const rows = Object.entries(optionTable).map(([name, row]) => {
		const flag = `${flagOf(name as keyof typeof optionTable)}${'value' in row ? ` <${row.value}>` : ''}`;
		const shown = 'value' in row ? row.default && `\`${row.default}\`` : 'off';
		return `| \`${flag}\` | ${shown || 'none'} | ${row.help} |`;
	});
	const head = '| flag | default | meaning |';
	assert.equal(tableIn(read('docs/options.md'), head), [head, '|---|---|---|', ...rows].join('\n'));
});

test('every line of docs/protocol.md is quoted by a test, and every quotation stands there', () => {
	const lines = read('docs/protocol.md')
		.split('\n')
		.filter((line) => line.startsWith('- '));
	const sources = readdirSync(new URL('test/', root), { recursive: true, encoding: 'utf8' })
		.filter((file) => file.endsWith('.test.ts'))
		.map((file) => read(`test/${file}`))
		.join('\n');
	const quoted = [...sources.matchAll(/\bprotocol\(\s*(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)")/g)].map(
		([, single, double]) => `- ${(single ?? double ?? '').replace(/\\(.)/g, '$1')}`,
	);
	assert.ok(lines.length > 30);
	assert.deepEqual([...new Set(quoted)].sort(), lines.sort());
});

test('docs/limits.md tells what each engine does with malformed input, as the tests of framing find it', () => {
	const groups = new Map<string, string[]>();
	for (const { input, newer, older } of [...otherInputs, ...ambiguousFraming]) {
		const outcomes = `${newer} | ${older}`;
		groups.set(outcomes, [...(groups.get(outcomes) ?? []), input]);
	}
	const rows = [...groups].map(([outcomes, inputs]) => `| ${inputs.join('; ')} | ${outcomes} |`);
	const head = '| input | 20.57 | 20.30 |';
	assert.equal(tableIn(read('docs/limits.md'), head), [head, '|---|---|---|', ...rows].join('\n'));
});

test('the README takes at most 10 KB', () => {
	const bytes = Buffer.byteLength(read('README.md'));
	assert.ok(bytes <= 10_240, `${bytes} bytes`);
});

test('every link of the documents leads to a file that is there, and to a heading of it', () => {
	const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'deploy/README.md', 'bench/README.md'];
	documents.push(...readdirSync(new URL('docs/', root)).map((file) => `docs/${file}`));
	let links = 0;
	for (const document of documents) {
		for (const [, target = ''] of read(document).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
			links++;
			const [file = '', heading] = target.split('#');
			const url = file === '' ? new URL(document, root) : new URL(file, new URL(document, root));
			assert.ok(existsSync(url), `${document}: ${target}`);
			if (heading !== undefined) assert.ok(anchorsOf(readFileSync(url, 'utf8')).includes(heading), `${document}: ${target}`);
		}
	}
	assert.ok(links > 20);
});

/** The anchors of the headings of a document, as forges make them. */
function anchorsOf(text: string): string[] {
	return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
		heading
			.toLowerCase()
			.replace(/[^\p{L}\p{N} -]/gu, '')
			.replaceAll(' ', '-'),
	);
}
