// A server as a process, which may be killed and started again on the same port.
import type { TestContext } from 'node:test';
import { type Command, runCommand } from '../../support/command.js';

// Slow clients are to catch up, not to be cut: all run in this process.
const nodeFlags = ['--mport', '0', '--max-backlog', '64MiB', '--write-timeout', '0'];

export class Node {
	#command: Command | undefined;
	operatorPort = 0;

	constructor(
		private readonly t: TestContext,
		readonly port: number,
		private readonly relay: string,
		private readonly relayTimeout: string,
	) {}

	async start(): Promise<void> {
		const relay = ['--relay', this.relay, '--relay-timeout', this.relayTimeout];
		this.#command = runCommand(this.t, ['--addr', `127.0.0.1:${this.port}`, ...nodeFlags, ...relay]);
		this.operatorPort = await this.#command.operatorPort();
	}

	signal(name: NodeJS.Signals): void {
		this.#command?.child.kill(name);
	}

	async kill(): Promise<void> {
		this.signal('SIGKILL');
		await this.#command?.ended;
	}
}
