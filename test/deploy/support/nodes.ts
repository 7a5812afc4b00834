// Real pathcast processes on fixed ports, which can go and come back.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type Command, runCommand } from '../../support/command.js';
import { freePort } from '../../support/free-port.js';
import { request } from '../../support/http.js';

/** Where a node listens, as a proxy is told. */
export type Ports = { readonly port: number; readonly operatorPort: number };

export class Node implements Ports {
	#command: Command | undefined;

	constructor(
		readonly t: TestContext,
		readonly port: number,
		readonly operatorPort: number,
		readonly flags: readonly string[],
	) {}

	/** Resolves when it listens. */
	async start(): Promise<void> {
		const addresses = ['--addr', `127.0.0.1:${this.port}`, '--mport', String(this.operatorPort)];
		this.#command = runCommand(this.t, [...addresses, ...this.flags]);
		await this.#command.port();
	}

	/** Ends it as a supervisor does, and waits for that. */
	async stop(): Promise<void> {
		this.#command?.child.kill('SIGTERM');
		assert.deepEqual((await this.#command?.ended)?.code, 0);
	}

	/** Leaves it there, but it does nothing any more. */
	hang(): void {
		this.#command?.child.kill('SIGSTOP');
	}

	/** Ends it as a crash does, and waits for that. */
	async kill(): Promise<void> {
		this.#command?.child.kill('SIGKILL');
		await this.#command?.ended;
	}

	/** The first line of its log with that event on that path. */
	async logged(event: string, path: string): Promise<Record<string, unknown>> {
		assert.ok(this.#command);
		return this.#command.logged(event, path);
	}

	/** Resolves when it is ready for clients. */
	async isReady(): Promise<void> {
		while ((await request(this.operatorPort, { path: '/readyz' })).status !== 200) await setTimeout(10);
	}

	/** Sends its websockets away, evenly over that time. */
	async shed(over: string): Promise<void> {
		const { status } = await request(this.operatorPort, { method: 'POST', path: `/drain?over=${over}` });
		assert.equal(status, 202);
	}

	/** The channels that have subscribers here, and how many. */
	async channels(): Promise<Map<string, number>> {
		const { body } = await request(this.operatorPort, { path: '/channels?limit=1000' });
		const { channels } = JSON.parse(body) as { channels: { channel: string; subscribers: number }[] };
		return new Map(channels.map(({ channel, subscribers }) => [channel, subscribers]));
	}
}

/** Starts so many nodes. */
export async function startNodes(t: TestContext, count: number, ...flags: string[]): Promise<Node[]> {
	const nodes: Node[] = [];
	for (let i = 0; i < count; i++) nodes.push(new Node(t, await freePort(), await freePort(), flags));
	await Promise.all(nodes.map((node) => node.start()));
	return nodes;
}
