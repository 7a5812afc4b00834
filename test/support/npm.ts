// npm as a new user runs it: with the Node of this test, an empty home folder, and no setting but the way to the registry.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { Command, type Ended, runProgram } from './command.js';

/** The settings that lead to the registry. The cache is the machine's own, so that a test need not download the engine again. */
const keptSettings = ['registry', 'cafile', 'proxy', 'https-proxy', 'cache'];

/** The environment in which npm runs in this folder's `home`. */
export async function npmEnvironment(t: TestContext, folder: string): Promise<NodeJS.ProcessEnv> {
	const home = join(folder, 'home');
	mkdirSync(home);
	const { stdout, stderr } = await runProgram(t, 'npm', ['config', 'list', '--json']).ended;
	if (stdout === '') throw new Error(`npm cannot be run: ${stderr}`);
	const settings: Record<string, unknown> = JSON.parse(stdout);
	const kept = keptSettings
		.filter((name) => typeof settings[name] === 'string')
		.map((name) => [`npm_config_${name.replaceAll('-', '_')}`, settings[name]]);
	// `npm test` passes its settings and this repository's package.json to its children in such variables.
	const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
	const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
	return { ...Object.fromEntries(inherited), ...Object.fromEntries(kept), HOME: home, PATH: path };
}

/** Why this test cannot be run, if the registry does not answer. Rejects with that where TEST_REQUIRE_ALL=1 demands that it runs. */
export async function lacksRegistry(t: TestContext, env: NodeJS.ProcessEnv): Promise<string | false> {
	const look = ['view', 'commander', 'version', '--fetch-retries=0', '--fetch-timeout=10000'];
	const { code, stderr } = await runProgram(t, 'npm', look, env).ended;
	if (code === 0) return false;
	const reason = `the npm registry cannot be reached: ${stderr.split('\n', 1)[0]}`;
	if (process.env.TEST_REQUIRE_ALL === '1') throw new Error(reason);
	return reason;
}

/** Runs npm to its end. */
export function runNpm(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Promise<Ended> {
	return runProgram(t, 'npm', args, env, cwd).ended;
}

/** Starts npx. The test's end kills it and its children, if they are still there: npx cannot pass SIGKILL on. */
export function runNpx(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Command {
	const child = spawn('npx', args, { stdio: ['ignore', 'pipe', 'pipe'], env, cwd, detached: true });
	const command = new Command(child);
	t.after(async () => {
		if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
		await command.ended;
	});
	return command;
}
