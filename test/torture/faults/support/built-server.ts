// The built server as a process that a row of the faults throws something at, and what shows that it is well.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { becomes } from '../../../relay/support/becomes.js';
import { anyPort, type Command, runCommand } from '../../../support/command.js';
import { descriptorsOf } from '../../../support/process.js';
import { metricOf } from '../../../support/server.js';

/** The descriptors of a process can be counted on Linux only. */
export const onLinux = process.platform === 'linux' ? false : 'needs /proc';

export class BuiltServer {
	constructor(
		readonly command: Command,
		readonly port: number,
		readonly operatorPort: number,
	) {}

	get pid(): number {
		return this.command.child.pid as number;
	}

	ws(path: string): string {
		return `ws://127.0.0.1:${this.port}${path}`;
	}

	metric(name: string): Promise<number> {
		return metricOf(this.operatorPort, name);
	}

	/** How many descriptors the process has open. */
	openFiles(): number {
		return descriptorsOf(this.pid).length;
	}

	/** Waits until no more descriptors are open than before, and gives that number. */
	async descriptorsComeBackTo(before: number): Promise<number> {
		await becomes(() => this.openFiles() <= before);
		return before;
	}

	/** The lines of the log so far. */
	log(): Record<string, unknown>[] {
		const lines = this.command.stdout.split('\n').slice(0, -1);
		return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
	}

	/** Asserts that nothing was logged as an error, or printed on standard error. */
	assertNoErrors(): void {
		assert.deepEqual(
			this.log().filter(({ level }) => level === 'error' || level === 'fatal'),
			[],
		);
		assert.equal(this.command.stderr, '');
	}

	/** Stops it by SIGTERM, which must end it with 0. */
	async stop(): Promise<void> {
		this.command.child.kill('SIGTERM');
		assert.equal((await this.command.ended).code, 0, this.command.stderr);
	}
}

/** Waits until it listens. */
export async function builtServer(command: Command): Promise<BuiltServer> {
	return new BuiltServer(command, await command.port(), await command.operatorPort());
}

/** Starts the built server on free ports with these flags; the test's end kills it. */
export function startBuilt(
	t: TestContext,
	flags: readonly string[] = [],
	nodeArgs: readonly string[] = [],
	env: NodeJS.ProcessEnv = process.env,
): Promise<BuiltServer> {
	return builtServer(runCommand(t, [...anyPort, '--drain', '0s', ...flags], nodeArgs, env));
}
