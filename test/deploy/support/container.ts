// A small container engine, because none runs in CI: overlayfs makes file systems of layers, and processes have them as their root.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { TestContext } from 'node:test';
import { type Command, runProgram } from '../../support/command.js';

/** A folder that holds what one step adds to the layers below it. */
export type Layer = { readonly files: string; readonly work: string; readonly root: string };

/** Makes new layers, in memory: no layer may be inside of the root, which is the lowest. The test's end removes them. */
export function layersOf(t: TestContext): () => Layer {
	const folder = mkdtempSync('/dev/shm/pathcast-');
	t.after(() => rmSync(folder, { recursive: true, force: true }));
	let count = 0;
	return () => {
		const path = join(folder, String(count++));
		const layer = { files: join(path, 'files'), work: join(path, 'work'), root: join(path, 'root') };
		for (const name of Object.values(layer)) mkdirSync(name, { recursive: true });
		return layer;
	};
}

const inMounts = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child'];

/**
 * Runs lines of shell where $root is this machine's root with layers upon it, the uppermost last, of which that one is written to.
 * Mounts are seen there alone, and end with it, and so do all processes.
 */
export function runUpon(t: TestContext, layers: readonly Layer[], lines: string): Command {
	const [top, ...below] = layers.toReversed();
	if (top === undefined) throw new Error('no layer to write to');
	const options = `lowerdir=${[...below.map(({ files }) => files), '/'].join(':')},upperdir=${top.files},workdir=${top.work}`;
	const script = `
		set -e
		root=${top.root}
		mount -t overlay overlay -o ${options} "$root"
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		${lines}`;
	return runProgram(t, 'unshare', [...inMounts, 'sh', '-c', script], { PATH: process.env.PATH });
}

/** Runs them to their end, which must be good. */
export async function succeedUpon(t: TestContext, layers: readonly Layer[], lines: string): Promise<void> {
	const { code, stdout, stderr } = await runUpon(t, layers, lines).ended;
	if (code !== 0) throw new Error(`${lines}\nended with ${code}:\n${stdout}${stderr}`);
}

/** How a container is run. */
export type Container = {
	readonly command: readonly string[];
	readonly env?: Readonly<Record<string, string>>;
	readonly folder?: string;
	/** User and group, by number. */
	readonly user?: string;
	/** What root may still do. */
	readonly capabilities?: readonly string[];
	readonly isReadOnly?: boolean;
	/** Folders that are empty and can be written to. */
	readonly emptyFolders?: readonly string[];
	/** Files of this machine, and where they are in the container. */
	readonly files?: readonly (readonly [here: string, there: string])[];
};

/** Starts a container of these layers. Its command has the process number 1 in there. */
export function startContainer(t: TestContext, layers: readonly Layer[], newLayer: () => Layer, container: Container): Command {
	const { isReadOnly = false, emptyFolders = [], files = [] } = container;
	const lines = [
		...files.map(([, there]) => `mkdir -p "$root${posix.dirname(there)}"; touch "$root${there}"`),
		...(isReadOnly ? ['mount -o remount,bind,ro "$root"'] : []),
		...emptyFolders.map((folder) => `mount -t tmpfs tmpfs "$root${folder}"`),
		...files.map(([here, there]) => `mount --bind -o ro ${here} "$root${there}"`),
		`exec ${changedRoot(container)}`,
	];
	return runUpon(t, [...layers, newLayer()], lines.join('\n'));
}

/** The command in $root. */
export function changedRoot({ command, env = {}, folder = '/', user = '0:0', capabilities = [] }: Container): string {
	const [uid, gid] = user.split(':');
	const bounds = ['-all', ...capabilities.map((name) => `+${name.toLowerCase()}`)].join(',');
	const variables = Object.entries({ PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env });
	return [
		// A death signal of its own, as the change of user undoes that of unshare --kill-child.
		...['chroot', '"$root"', 'setpriv', '--pdeathsig=KILL', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
		...[`--bounding-set=${bounds}`, '--inh-caps=-all', '--no-new-privs', 'env', '--ignore-environment', `--chdir=${folder}`],
		...[...variables.map(([name, value]) => `${name}=${value}`), ...command].map(quoted),
	].join(' ');
}

/** The process of a container's command, as it is known here. */
export function processOf({ child: { pid } }: Command): number {
	return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}

function quoted(word: string): string {
	return `'${word.replaceAll("'", "'\\''")}'`;
}
