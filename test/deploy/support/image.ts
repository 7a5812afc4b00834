// Builds the image of the Dockerfile as a container engine does: each stage a file system, each step in it.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { changedRoot, type Layer, layersOf, succeedUpon } from './container.js';
import { readDockerfile, readIgnored, type Stage, type Step } from './dockerfile.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const readText = (file: string) => readFileSync(join(root, file), 'utf8');

export const stages = readDockerfile(readText('Dockerfile'));

/** The stage that becomes the image. */
export function lastStage(): Stage {
	const stage = stages.at(-1);
	if (stage === undefined) throw new Error('the Dockerfile has no stage');
	return stage;
}

/** Where the steps mean the same as in their base, node:24-trixie-slim. TEST_REQUIRE_ALL=1 demands no more: CI has such a run. */
export function needsDebian13(): { skip: string | false } {
	const system = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
	const isDebian13 = /^ID=debian$/m.test(system) && /^VERSION_ID="13"$/m.test(system);
	const isThere = isDebian13 && process.versions.node.startsWith('24.') && process.getuid?.() === 0;
	return { skip: isThere ? false : 'needs Debian 13, Node 24 and root rights: .ci/debian13 24 runs it' };
}

export type Image = { readonly stage: Stage; readonly layers: readonly Layer[]; readonly newLayer: () => Layer };

/** Builds it; npm reaches the registry with `env`. */
export async function buildImage(t: TestContext, env: Readonly<Record<string, string>>): Promise<Image> {
	const newLayer = layersOf(t);
	const base = newLayer();
	await succeedUpon(t, [base], baseLines);
	const context = newLayer();
	copyContext(context.files);
	const built = new Map<string | undefined, Layer>([[undefined, context]]);
	const stage = lastStage();
	for (const { name, steps, folder } of stages) {
		const layer = newLayer();
		const lines = steps.map((step) => linesOf(step, built, env));
		await succeedUpon(t, [base, layer], [`mkdir -p "$root${folder}"`, ...lines].join('\n'));
		built.set(name ?? 'image', layer);
	}
	const layer = built.get('image');
	if (layer === undefined) throw new Error('the last stage of the Dockerfile has a name');
	return { stage, layers: [base, layer], newLayer };
}

// What node:24-trixie-slim is: the packages without which there is no Debian, apt, and a Node in /usr/local. What else this system has may
// not help: a step that calls curl fails there.
const installed = dirname(dirname(process.execPath));
const baseLines = `
	required=$(dpkg-query --show --showformat '\${Priority} \${Package}\\n' | sed -n 's/^required //p')
	apt-cache depends --recurse --important --installed apt $required | grep '^[a-z0-9]' | sort -u >"$root/kept"
	dpkg-query --show --showformat '\${Package}\\n' | sort -u | comm -23 - "$root/kept" | xargs dpkg-query --listfiles | sort -u |
		while read -r file; do if test -f "$file" -o -L "$file"; then echo "$root$file"; fi; done | xargs rm -f
	rm "$root/kept"
	mkdir -p "$root/usr/local/lib/node_modules"
	cp ${process.execPath} "$root/usr/local/bin/node"
	cp -R ${installed}/lib/node_modules/npm "$root/usr/local/lib/node_modules/npm"
	for name in npm npx; do ln -sf ../lib/node_modules/npm/bin/$name-cli.js "$root/usr/local/bin/$name"; done`;

/** Copies what .dockerignore leaves of this repository. */
function copyContext(to: string): void {
	const isIgnored = readIgnored(readText('.dockerignore'));
	for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
		if (isIgnored(path) || !statSync(join(root, path)).isFile()) continue;
		mkdirSync(dirname(join(to, path)), { recursive: true });
		cpSync(join(root, path), join(to, path));
	}
}

/** A step as lines of shell, where $root is the stage's. */
function linesOf(step: Step, built: ReadonlyMap<string | undefined, Layer>, env: Readonly<Record<string, string>>): string {
	if (step.kind === 'run') {
		const command = ['/bin/sh', '-c', step.line];
		return changedRoot({ command, env: { HOME: '/root', ...env, ...step.env }, folder: step.folder, capabilities: ['all'] });
	}
	const { from, sources, target } = step;
	const layer = built.get(from);
	if (layer === undefined) throw new Error(`COPY --from=${from}: no such stage before`);
	return sources
		.map((source) => posix.join(layer.files, source))
		.map((source) =>
			statSync(source).isDirectory()
				? `mkdir -p "$root${target}"; cp -dR --preserve=mode,timestamps ${source}/. "$root${target}"`
				: `mkdir -p "$root${target.endsWith('/') ? target : posix.dirname(target)}"; cp ${source} "$root${target}"`,
		)
		.join('\n');
}
