// The built command as a process of its own.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Owner } from './owner.js';

export const cliPath = fileURLToPath(import.meta.resolve('#src/cli.js'));

export type Ended = {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
	readonly stdout: string;
	readonly stderr: string;
};

export class Command {
	stdout = '';
	stderr = '';
	/** Resolves when the process has ended and its output is complete. */
	readonly ended: Promise<Ended>;
	#wake: () => void = () => {};

	constructor(readonly child: ChildProcess) {
		child.stdout?.on('data', (data) => {
			this.stdout += data;
			this.#wake();
		});
		child.stderr?.on('data', (data) => {
			this.stderr += data;
			this.#wake();
		});
		this.ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout: this.stdout, stderr: this.stderr }));
		void this.ended.then(() => this.#wake());
	}

	/** Waits for output until `look` finds something in it. Rejects if the process ends without it. */
	async until<Found>(look: () => Found | undefined): Promise<Found> {
		for (;;) {
			const found = look();
			if (found !== undefined) return found;
			if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}: ${this.stderr}`);
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	/** The first line of the log with that event, on that path if it is given. */
	logged(event: string, path?: string): Promise<Record<string, unknown>> {
		return this.until(() => {
			const lines = this.stdout.split('\n').slice(0, -1);
			const entries = lines.filter((text) => text.startsWith('{')).map((text) => JSON.parse(text));
			return entries.find((entry) => entry.event === event && (path === undefined || entry.path === path));
		});
	}

	/** Waits until a file that this process writes matches. */
	async wroteTo(file: string, pattern: RegExp): Promise<void> {
		const watcher = watch(dirname(file));
		try {
			while (!existsSync(file) || !pattern.test(readFileSync(file, 'utf8'))) {
				const ended = await Promise.race([once(watcher, 'change').then(() => undefined), this.ended]);
				if (ended !== undefined) throw new Error(`ended with ${ended.code}: ${ended.stderr}`);
			}
		} finally {
			watcher.close();
		}
	}

	/** Waits until it listens, and gives its port. */
	async port(): Promise<number> {
		const { addr } = await this.logged('start');
		return portOf(addr);
	}

	/** The port of the operator's listener. */
	async operatorPort(): Promise<number> {
		const { mport } = await this.logged('start');
		return portOf(mport);
	}
}

function portOf(address: unknown): number {
	return Number(String(address).replace(/^.*:/, ''));
}

/** Runs `pathcast` with these arguments; the test's end kills it if it is still there. */
export function runCommand(
	t: Owner,
	args: readonly string[],
	nodeArgs: readonly string[] = [],
	env: NodeJS.ProcessEnv = process.env,
): Command {
	return runProgram(t, process.execPath, [...nodeArgs, cliPath, ...args], env);
}

/** Runs `pathcast` with these arguments in a shell's limit of open files (`ulimit -n`). */
export function runWithin(t: TestContext, openFilesMax: number, args: readonly string[]): Command {
	const script = `ulimit -n ${openFilesMax} && exec "$0" "$@"`;
	return runProgram(t, '/bin/sh', ['-c', script, process.execPath, cliPath, ...args]);
}

/** Runs `pathcast` with these arguments, its standard output and standard error on a full disk. */
export function runOnFullDisk(t: TestContext, args: readonly string[]): Command {
	return runProgram(t, '/bin/sh', ['-c', 'exec "$0" "$@" > /dev/full 2>&1', process.execPath, cliPath, ...args]);
}

/** Runs another program, in this folder if none is given; the test's end kills it if it is still there. */
export function runProgram(
	t: Owner,
	program: string,
	args: readonly string[],
	env: NodeJS.ProcessEnv = process.env,
	cwd = process.cwd(),
): Command {
	const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env, cwd });
	const command = new Command(child);
	t.after(async () => {
		if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
		await command.ended;
	});
	return command;
}

/** Arguments that listen on free ports. */
export const anyPort = ['--addr', '127.0.0.1:0', '--mport', '0'];

/** Runs the command, which must refuse to start with one line on standard error, and exit code 1. */
export async function refuses(
	t: TestContext,
	args: readonly string[],
	line: string | RegExp,
	nodeArgs: readonly string[] = [],
	env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
	const { code, stdout, stderr } = await runCommand(t, args, nodeArgs, env).ended;
	assert.match(stderr, /^pathcast: [^\n]+\n$/, args.join(' '));
	if (typeof line === 'string') assert.equal(stderr, `pathcast: ${line}\n`);
	else assert.match(stderr, line);
	assert.deepEqual([code, stdout], [1, ''], args.join(' '));
}
