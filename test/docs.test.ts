// Holds the documents to the code and to each other: the option table, the protocol reference, the table of limits, and every link.
import assert from 'node:assert/strict';
import { exec, execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { flagOf, optionTable } from '#src/options/table.js';
import { request } from './support/http.js';
import { ambiguousFraming, otherInputs } from './support/malformed.js';
import { needs } from './support/requirement.js';
import { metric, startTestServer } from './support/server.js';
import { temporaryFolder } from './support/temporary-folder.js';

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

test('every command in the documents is one that there is', async (t) => {
	const { scripts } = JSON.parse(read('package.json'));
	const flags = new Set(Object.keys(optionTable).map((name) => flagOf(name as keyof typeof optionTable)));
	const documents = ['README.md', 'CONTRIBUTING.md', ...readdirSync(new URL('docs/', root)).map((file) => `docs/${file}`)];
	const operator = await startTestServer(t);
	const { body: endpoints } = await request(operator.operatorPort, { path: '/' });
	let commands = 0;
	for (const document of documents) {
		for (const line of shellLines(read(document))) {
			commands++;
			const what = `${document}: ${line}`;
			for (const [, script = ''] of line.matchAll(/npm (?:run )?(start|test|(?<=run )[a-z:]+)/g))
				assert.ok(script in scripts, what);
			for (const [path] of line.matchAll(/(?<![\w/])(?:\.ci|bench|deploy|docs|src|test)\/[\w./-]+/g))
				assert.ok(existsSync(new URL(path, root)), what);
			const pathcast = /(?:npm start --|npx pathcast|dist\/cli\.js|docker run .* pathcast)(.*)/.exec(line)?.[1] ?? '';
			for (const [flag] of pathcast.matchAll(/--[a-z-]+/g)) assert.ok(flags.has(flag), what);
			const [, path] = /localhost:8082(\/[a-z]*)/.exec(line) ?? [];
			if (path !== undefined) assert.ok(new RegExp(`^[A-Z, ]+${path}`, 'm').test(endpoints), what);
			const [, file] = /node --test build\/(test\/\S+)\.js/.exec(line) ?? [];
			if (file !== undefined) assert.ok(existsSync(new URL(`${file}.ts`, root)), what);
		}
	}
	assert.ok(commands > 20);
});

test("the README's commands of curl publish", needs('curl', '/usr/bin/curl'), async (t) => {
	const server = await startTestServer(t);
	const folder = temporaryFolder(t);
	writeFileSync(`${folder}/message.json`, '{}\n');
	const publishing = shellLines(read('README.md')).filter((line) => line.startsWith('curl '));
	assert.equal(publishing.length, 4);
	for (const line of publishing) {
		const { stdout } = await promisify(exec)(line.replace(':8081', `:${server.port}`), { cwd: folder });
		assert.match(stdout, /OK\n$/, line);
	}
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), publishing.length);
});

test("the README's Python publishes", needs('Python', '/usr/bin/python3'), async (t) => {
	const server = await startTestServer(t);
	const [publishes = ''] = fenced(read('README.md'), 'python');
	await promisify(execFile)('/usr/bin/python3', ['-c', publishes.replace(':8081', `:${server.port}`)]);
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 1);
});

/** The blocks of a document in one language. */
function fenced(text: string, language: string): string[] {
	return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, block = '']) => block);
}

/** The lines of its shell commands, without what is said of them. */
function shellLines(text: string): string[] {
	return fenced(text, 'sh').flatMap((block) =>
		block
			.split('\n')
			.map((line) => line.replace(/\s+#.*$/, ''))
			.filter((line) => line !== ''),
	);
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
