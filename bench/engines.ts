// Which builds of the engine the peers run on: the one that pathcast chooses on this Node and system, and the older one beside it.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export type Engines = { readonly chosen: string | undefined; readonly older: string | undefined };

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
/** What makes a Node whose command line begins with it load the older engine. */
export const withOlderEngine = ['--import', new URL('./peers/older-engine.js', import.meta.url).href];

/** The versions of both; undefined for one that does not load here. */
export function enginesHere(): Engines {
	return { chosen: engineVersion([]), older: engineVersion(withOlderEngine) };
}

function engineVersion(nodeArgs: readonly string[]): string | undefined {
	const { stdout } = spawnSync(process.execPath, [...nodeArgs, cli, '--version'], { encoding: 'utf8' });
	return /\(uWebSockets\.js ([^\s,]+),/.exec(stdout)?.[1];
}

/** Why there is no older engine to measure beside the chosen one; undefined if there is. */
export function whyNoOlder({ chosen, older }: Engines): string | undefined {
	if (older === undefined) return `the older engine does not load on Node ${process.versions.node}`;
	return older === chosen ? `the older engine, ${older}, is the one that pathcast chooses here` : undefined;
}

/** What stands in the line that names the machine. */
export function namesOf(engines: Engines): string {
	const { chosen = 'none', older } = engines;
	return `uWebSockets.js ${chosen}${whyNoOlder(engines) === undefined ? ` (older: ${older})` : ''}`;
}
