// Reads the Dockerfile and .dockerignore: as much of their languages as these use. Anything else is an error, lest a test pass over it.
import { posix } from 'node:path';

/** A line of shell, or files that are copied from the context or from a stage. Paths are absolute, but those of the context. */
export type Step =
	| { readonly kind: 'run'; readonly line: string; readonly folder: string; readonly env: Readonly<Record<string, string>> }
	| { readonly kind: 'copy'; readonly from: string | undefined; readonly sources: readonly string[]; readonly target: string };

export type Stage = {
	readonly base: string;
	readonly name: string | undefined;
	readonly steps: Step[];
	readonly ports: number[];
	env: Record<string, string>;
	folder: string;
	/** User and group, by number. */
	user: string;
	command: readonly string[];
};

/** Its stages, the last of which is the image. */
export function readDockerfile(text: string): Stage[] {
	const stages: Stage[] = [];
	const lines = text
		.replace(/^\s*#.*\n/gm, '')
		.replace(/\\\n/g, '')
		.split('\n');
	for (const line of lines.filter((candidate) => candidate.trim() !== '')) {
		const [, instruction = '', rest = ''] = /^([A-Z]+)\s+(.*\S)/.exec(line) ?? [];
		if (instruction === 'FROM') stages.push(readFrom(rest));
		else read(instruction, rest, stages.at(-1) ?? readFrom(''));
	}
	return stages;
}

function readFrom(rest: string): Stage {
	const [, base, name] = /^(\S+)(?: AS (\w+))?$/.exec(rest) ?? [];
	if (base === undefined) throw new Error(`FROM ${rest}`);
	return { base, name, steps: [], ports: [], env: {}, folder: '/', user: '0:0', command: [] };
}

function read(instruction: string, rest: string, stage: Stage): void {
	switch (instruction) {
		case 'COPY':
			stage.steps.push(readCopy(rest, stage));
			break;
		case 'ENTRYPOINT':
			// Not the shell form: its /bin/sh would get the signals, and keep them to itself.
			stage.command = JSON.parse(rest);
			break;
		case 'ENV': {
			const [, name, value] = /^([A-Z_]+)=([^\s"'$]+)$/.exec(rest) ?? [];
			if (name === undefined || value === undefined) throw new Error(`ENV ${rest}`);
			stage.env = { ...stage.env, [name]: value };
			break;
		}
		case 'EXPOSE':
			stage.ports.push(Number(rest));
			break;
		case 'RUN':
			if (/^(\[|--)/.test(rest) || stage.user !== '0:0') throw new Error(`RUN ${rest}`);
			stage.steps.push({ kind: 'run', line: rest, folder: stage.folder, env: stage.env });
			break;
		case 'USER':
			if (!/^[0-9]+:[0-9]+$/.test(rest)) throw new Error(`USER ${rest}`);
			stage.user = rest;
			break;
		case 'WORKDIR':
			stage.folder = posix.resolve(stage.folder, rest);
			break;
		default:
			throw new Error(`${instruction} ${rest}`);
	}
}

function readCopy(rest: string, { folder }: Stage): Step {
	const [, from, paths = ''] = /^(?:--from=(\w+) )?(.*)$/.exec(rest) ?? [];
	const words = paths.split(/\s+/);
	const target = words.pop();
	if (target === undefined || words.length === 0 || /--|["'*?[$]/.test(paths)) throw new Error(`COPY ${rest}`);
	// A folder if it says so: without that, a single file would be copied to the name itself.
	const slash = /(^|\/)\.?\/?$/.test(target) ? '/' : '';
	return { kind: 'copy', from, sources: words, target: `${posix.resolve(folder, target)}${slash}` };
}

/** Tells which files of the context a .dockerignore leaves out. */
export function readIgnored(text: string): (path: string) => boolean {
	const rules = text
		.split('\n')
		.filter((line) => line !== '' && !line.startsWith('#'))
		.map((line) => {
			const [, isKept, pattern] = /^(!?)([\w.*-]+)$/.exec(line) ?? [];
			if (pattern === undefined) throw new Error(`.dockerignore: ${line}`);
			return { isIgnored: isKept === '', pattern: new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`) };
		});
	// The last rule that matches decides, by the topmost folder: no rule has a slash.
	return (path) => rules.findLast(({ pattern }) => pattern.test(path.split('/', 1)[0] ?? ''))?.isIgnored ?? false;
}
