// The documents for people, their snippets, and a check of the commands that they show. Runs no command itself.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readOptions } from '#src/options/reading.js';

const root = new URL('../../../', import.meta.url);

/** A file of the repository, by its path. */
export const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');
export const isThere = (file: string): boolean => existsSync(new URL(file, root));

/** The documents whose commands are checked. */
export const documents: readonly string[] = [
	'README.md',
	'CONTRIBUTING.md',
	...readdirSync(new URL('docs/', root)).map((file) => `docs/${file}`),
];

/** The table that begins with this line. */
export const tableIn = (text: string, head: string): string | undefined =>
	text.slice(text.indexOf(head)).split('\n\n', 1)[0]?.trimEnd();

/** The blocks of a document in one language. */
export function fenced(text: string, language: string): string[] {
	return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, block = '']) => block);
}

/** The lines of its shell commands, without their comments. */
export function shellLines(text: string): string[] {
	return fenced(text, 'sh').flatMap((block) =>
		block
			.split('\n')
			.map((line) => line.replace(/\s+#.*$/, ''))
			.filter((line) => line !== ''),
	);
}

/** The code inside its prose and tables, each on one line. */
export function inlineCode(text: string): string[] {
	const prose = text.replace(/^```[\s\S]*?^```/gm, '');
	return [...prose.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replace(/\s+/g, ' '));
}

/** Whether inline code is a command, and not a name or a value. */
export function isCommand(code: string): boolean {
	return /^(?:npm|npx|node|curl|docker|pathcast|dist\/cli\.js|\.ci\/\w+) /.test(code);
}

// Each takes the flags that its source declares.
const benchSources: Record<string, string> = { bench: 'bench/run.ts', 'bench:page': 'bench/page.ts' };

/** The first thing in a shell command that does not exist. `endpoints` is the list at `/` of the operator's listener. */
export function missingIn(command: string, endpoints: string): string | undefined {
	for (const part of command.split(/\s+&&\s+/)) {
		const missing = missingScript(part) ?? missingFile(part) ?? missingOption(part) ?? missingEndpoint(part, endpoints);
		if (missing !== undefined) return missing;
	}
	return undefined;
}

function missingScript(command: string): string | undefined {
	const { scripts } = JSON.parse(read('package.json'));
	const [, script] = /^npm (?:run )?(?:--silent )?(start|test|(?<=run )\S+)/.exec(command) ?? [];
	if (script === undefined) return undefined;
	if (!(script in scripts)) return `script ${script}`;
	const source = benchSources[script];
	const flags = source === undefined ? [] : (command.match(/(?<=\s)--[a-z][a-z-]*/g) ?? []);
	const unknown = flags.find(
		(flag) => !read(source as string).includes(`'${flag} `) && !read(source as string).includes(`'${flag}'`),
	);
	return unknown && `${unknown} of ${source}`;
}

function missingFile(command: string): string | undefined {
	const paths = command.match(/(?<![\w./-])(?:\.ci|bench|build|deploy|dist|docs|node_modules|src|test)\/[\w./-]+/g) ?? [];
	return paths.find((path) => !isThere(path));
}

function missingOption(command: string): string | undefined {
	// The name of the command, or of the image in "docker run", and what follows it.
	const [, rest] =
		/^(?:npm start --|npx pathcast|docker run .*? pathcast|(?:node )?\S*dist\/cli\.js|pathcast)(?:$|(?=\s)(.*))/.exec(command) ??
		[];
	if (rest === undefined) return undefined;
	try {
		readOptions(rest.trim().split(/\s+/).filter(Boolean), {}, 'test');
		return undefined;
	} catch (error) {
		return String(error);
	}
}

function missingEndpoint(command: string, endpoints: string): string | undefined {
	const [, path] = /localhost:8082(\/[\w/]*)/.exec(command) ?? [];
	if (path === undefined) return undefined;
	const [, given] = /-X ([A-Z]+)/.exec(command) ?? [];
	const method = given ?? (/ -d | --data/.test(command) ? 'POST' : 'GET');
	const isListed = endpoints.split('\n').some((line) => {
		const [, methods = '', listed = ''] = /^([A-Z, ]+?) +(\/\S*)/.exec(line) ?? [];
		// An example such as /channels/room/1 stands for every path below the first segment.
		const isBelow = listed.split('/').length > 2 && path.startsWith(listed.slice(0, listed.indexOf('/', 1) + 1));
		return methods.split(', ').includes(method) && (listed.replace(/\?.*/, '') === path || isBelow);
	});
	return isListed ? undefined : `${method} ${path}`;
}
