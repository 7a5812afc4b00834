// Holds the documents to the code and to each other: tables, the protocol reference, links, names and commands. snippets.test.ts runs them.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { flagOf, optionTable, variableOf } from '#src/options/table.js';
import { documents, inlineCode, isCommand, isThere, missingIn, read, shellLines, tableIn } from './support/documents.js';
import { request } from './support/http.js';
import { ambiguousFraming, otherInputs } from './support/malformed.js';
import { startTestServer, type TestServer } from './support/server.js';

const root = new URL('../../', import.meta.url);
const optionNames = Object.keys(optionTable) as (keyof typeof optionTable)[];

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
	let links = 0;
	for (const document of [
		...documents,
		'CHANGELOG.md',
		'deploy/README.md',
		'bench/README.md',
		'examples/README.md',
		'examples/auth/README.md',
		'examples/groups/README.md',
	]) {
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

test('the ten options of the README are options, with their defaults', () => {
	const rows = tableIn(read('README.md'), '| flag | default | meaning |')?.split('\n').slice(2) ?? [];
	assert.equal(rows.length, 10);
	for (const row of rows) {
		const [, flags = '', shown = ''] = row.split('|').map((cell) => cell.trim());
		for (const flag of flags.split(', ')) {
			const [, option] =
				Object.entries(optionTable).find(([name]) => `\`${flagOf(name as keyof typeof optionTable)}\`` === flag) ?? [];
			assert.ok(option, flag);
			assert.equal(shown, 'value' in option && option.default ? `\`${option.default}\`` : 'none', flag);
		}
	}
});

test('every command in the documents names scripts, files, options and endpoints that exist', async (t) => {
	const endpoints = await endpointsOf(await startTestServer(t));
	let commands = 0;
	for (const document of documents) {
		const text = read(document);
		for (const command of [...shellLines(text), ...inlineCode(text).filter(isCommand)]) {
			commands++;
			assert.equal(missingIn(command, endpoints), undefined, `${document}: ${command}`);
		}
	}
	assert.ok(commands > 40);
});

test('a command with a wrong script, file, option, value or endpoint is found', async (t) => {
	const endpoints = await endpointsOf(await startTestServer(t));
	const wrong = {
		'npm ci && npm run biuld': /^script biuld$/,
		'npm run bench -- --quik': /^--quik of bench\/run\.ts$/,
		'node --test build/test/pubsub/hubs.test.js': /^build\/test\/pubsub\/hubs\.test\.js$/,
		'npm start -- --adr :9000': /--adr/,
		'npx pathcast --post private': /private/,
		'docker run -p 8081:8081 pathcast --max-message 128KB': /128KB/,
		'curl localhost:8082/metric': /^GET \/metric$/,
		'curl -X DELETE localhost:8082/stats': /^DELETE \/stats$/,
	};
	for (const [command, missing] of Object.entries(wrong)) assert.match(missingIn(command, endpoints) ?? '', missing, command);
});

test('every flag, variable and file that the prose of the documents names exists', () => {
	const ofOtherPrograms = ['--path-as-is', '--data-binary', '--stop-timeout'];
	const flags = [...optionNames.map(flagOf), '--help', '--version', ...ofOtherPrograms];
	const variables = optionNames.map(variableOf);
	let names = 0;
	for (const document of documents) {
		for (const code of inlineCode(read(document))) {
			const what = `${document}: ${code}`;
			const [flag] = /^--[a-z-]+/.exec(code) ?? [];
			const [variable] = /^PATHCAST_[A-Z_]*[A-Z]$|^PATHCAST_[A-Z_]+(?==)/.exec(code) ?? [];
			// Kubernetes makes this one, and pathcast ignores it.
			const isIgnored = variable === 'PATHCAST_PORT';
			const [file] = /^(?:\.ci|bench|deploy|dist|docs|examples|src|test)\/[\w./-]*$/.exec(code) ?? [];
			if (flag !== undefined) assert.ok(flags.includes(flag), what);
			if (variable !== undefined) assert.ok(isIgnored || variables.includes(variable), what);
			if (file !== undefined) assert.ok(isThere(file), what);
			if (flag ?? variable ?? file) names++;
		}
	}
	assert.ok(names > 100);
});

test('docs/operating.md lists every metric with all its reasons, and every key of /stats', async (t) => {
	const server = await startTestServer(t);
	const guide = read('docs/operating.md');
	const { body: exposed } = await request(server.operatorPort, { path: '/metrics' });
	const listed = tableIn(guide, '| metric | what it counts |') ?? '';
	const names = [...exposed.matchAll(/^# TYPE (pathcast_\w+)/gm)].map(([, name]) => name);
	assert.deepEqual([...new Set(listed.match(/pathcast_\w+/g))].sort(), names.sort());
	for (const [, name = '', value = ''] of exposed.matchAll(/^(pathcast_\w+)\{(?!le=)\w+="(\w+)"\}/gm)) {
		const row = listed.split('\n').find((line) => line.includes(name)) ?? '';
		assert.ok(row.includes(`\`${value}\``), `${name}: ${value}`);
	}
	const { body: stats } = await request(server.operatorPort, { path: '/stats' });
	const keys = (tableIn(guide, '| key of `/stats` |') ?? '').match(/^\| `.*?` \|/gm)?.flatMap((cell) => inlineCode(cell));
	assert.deepEqual(keys?.sort(), Object.keys(JSON.parse(stats)).sort());
});

/** The list of the operator's listener at `/`. */
async function endpointsOf(server: TestServer): Promise<string> {
	return (await request(server.operatorPort, { path: '/' })).body;
}

/** The anchors of the headings of a document, as forges make them. */
function anchorsOf(text: string): string[] {
	return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
		heading
			.toLowerCase()
			.replace(/[^\p{L}\p{N} -]/gu, '')
			.replaceAll(' ', '-'),
	);
}
