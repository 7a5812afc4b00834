// The built command as a process of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

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
		});
		this.ended = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout: this.stdout, stderr: this.stderr }));
		void this.ended.then(() => this.#wake());
	}

	/** The first line of the log with that event. Rejects if the process ends without it. */
	async logged(event: string): Promise<Record<string, unknown>> {
		for (;;) {
			const line = this.stdout
				.split('\n')
				.slice(0, -1)
				.filter((text) => text.startsWith('{'))
				.map((text) => JSON.parse(text))
				.find((entry) => entry.event === event);
			if (line !== undefined) return line;
			if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}: ${this.stderr}`);
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	/** Waits until it listens, and gives its port. */
	async port(): Promise<number> {
		const { addr } = await this.logged('start');
		return Number(String(addr).replace(/^.*:/, ''));
	}
}

/** Runs `pathcast` with these arguments; the test's end kills it if it is still there. */
export function runCommand(
	t: TestContext,
	args: readonly string[],
	nodeArgs: readonly string[] = [],
	env: NodeJS.ProcessEnv = process.env,
): Command {
	const child = spawn(process.execPath, [...nodeArgs, cliPath, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
	const command = new Command(child);
	t.after(async () => {
		if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
		await command.ended;
	});
	return command;
}
