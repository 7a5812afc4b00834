// A Redis or a Valkey as a process of its own, with nothing on the disk, that a test can stop, kill and start again.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { Redis } from 'ioredis';
import { type Command, runProgram } from './command.js';
import { freePort } from './free-port.js';
import { needs } from './requirement.js';
import { temporaryFolder } from './temporary-folder.js';

// Where the machine has both, as the Debian 13 of CI does, the tests use Valkey.
const program = ['/usr/bin/valkey-server', '/usr/bin/redis-server'].find((path) => existsSync(path)) ?? '/usr/bin/redis-server';

/** The `skip` option of a test that needs Redis or Valkey. */
export const needsRedis = needs('redis-server', program);

export class RedisProcess {
	#command: Command | undefined;
	#client: Redis | undefined;

	constructor(
		private readonly t: TestContext,
		readonly port: number,
		private readonly args: readonly string[],
	) {}

	/** For --relay. */
	get url(): string {
		return `redis://127.0.0.1:${this.port}`;
	}

	/** Starts it, also after it has ended, on the same port. */
	async start(): Promise<void> {
		this.#command = runProgram(this.t, program, this.args);
		const command = this.#command;
		await command.until(() => (/Ready to accept connections|Sentinel ID is/.test(command.stdout) ? true : undefined));
	}

	/** Sends a signal: SIGSTOP and SIGCONT stop it and let it go on. */
	signal(name: NodeJS.Signals): void {
		this.#command?.child.kill(name);
	}

	/** Ends it at once, and resolves when it has ended. */
	async kill(): Promise<void> {
		this.signal('SIGKILL');
		await this.#command?.ended;
		this.#client?.disconnect();
		this.#client = undefined;
	}

	/** Runs a command, and gives its answer. */
	async run(name: string, ...args: (string | Buffer | number)[]): Promise<unknown> {
		if (this.#client === undefined) {
			const client = new Redis({ port: this.port, host: '127.0.0.1', ...this.credentials, retryStrategy: () => null });
			client.on('error', () => {});
			// A Sentinel closes the connections of a server whose role changes.
			client.on('close', () => {
				if (this.#client === client) this.#client = undefined;
			});
			this.t.after(() => client.disconnect());
			this.#client = client;
			// A connection that is closed before it is ready may give no error.
			const ended = once(client, 'end').then(() => Promise.reject(new Error('the connection was closed')));
			await Promise.race([once(client, 'ready'), ended]);
		}
		return this.#client.call(name, args);
	}

	/** For `run`, where the server asks for a password. */
	credentials: { username?: string; password?: string } = {};
}

/** Starts a Redis on a free port of 127.0.0.1, with more arguments; the test's end ends it. */
export async function startRedis(t: TestContext, ...args: string[]): Promise<RedisProcess> {
	const port = await freePort();
	const folder = temporaryFolder(t);
	const always = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder];
	const redis = new RedisProcess(t, port, [...always, ...args]);
	await redis.start();
	return redis;
}
