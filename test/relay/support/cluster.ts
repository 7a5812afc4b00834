// A cluster of Redis or Valkey, of three masters with a replica each, and a master with a replica and three Sentinels.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort } from '../../support/free-port.js';
import { RedisProcess, startRedis } from '../../support/redis.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { becomes } from './becomes.js';

/** Of the three masters. */
export const shards = [0, 1, 2] as const;
const firstSlots = [0, 5_461, 10_923, 16_384] as const;

// A failover begins after this time without an answer. Shorter, a busy machine would begin some that nobody wants.
const nodeTimeoutMs = 1_500;

// A replica that has to copy its master must not wait for other replicas, which is 5 s as Redis comes.
const replicates = ['--repl-diskless-sync-delay', '0'];

export class Cluster {
	constructor(
		/** Two for each shard. Which of them is the master, `masterOf` tells. */
		readonly servers: readonly RedisProcess[],
		/** What a server calls itself. */
		readonly ids: ReadonlyMap<RedisProcess, string>,
	) {}

	/** Of the first server alone: the others are found by it. */
	get url(): string {
		return (this.servers[0] as RedisProcess).url;
	}

	/** The master of a shard by its own account, and its replica. */
	async rolesOf(shard: number): Promise<{ master: RedisProcess; replica: RedisProcess }> {
		const [a, b] = [this.servers[shard], this.servers[shard + 3]] as [RedisProcess, RedisProcess];
		return (await isMaster(a)) ? { master: a, replica: b } : { master: b, replica: a };
	}

	idOf(server: RedisProcess): string {
		return this.ids.get(server) as string;
	}

	/** Gives a slot to another shard as redis-cli does: the new master first, then the old one, then the third. */
	async moveSlot(slot: number, from: number, to: number): Promise<void> {
		const [source, target] = [(await this.rolesOf(from)).master, (await this.rolesOf(to)).master];
		const { master: third } = await this.rolesOf(3 - from - to);
		await target.run('CLUSTER', 'SETSLOT', slot, 'IMPORTING', this.idOf(source));
		await source.run('CLUSTER', 'SETSLOT', slot, 'MIGRATING', this.idOf(target));
		for (const server of [target, source, third]) await server.run('CLUSTER', 'SETSLOT', slot, 'NODE', this.idOf(target));
	}

	/** Resolves when these servers agree that each slot is served, and each replica has its master. */
	async isSettled(servers = this.servers): Promise<void> {
		for (const server of servers) {
			await becomes(async () => {
				if (!/cluster_state:ok/.test(String(await server.run('CLUSTER', 'INFO')))) return false;
				const nodes = String(await server.run('CLUSTER', 'NODES'));
				return (
					nodes.split('\n').filter((line) => / connected/.test(line) && !/fail|handshake/.test(line)).length >= servers.length
				);
			});
			await becomes(async () => /role:master|master_link_status:up/.test(String(await server.run('INFO', 'replication'))));
		}
	}
}

/** The shard of a slot, before any is moved. */
export function shardOf(slot: number): number {
	return shards.findLast((shard) => slot >= firstSlots[shard]) as number;
}

/** Starts a cluster. Its shards go on alone when one is away. */
export async function startCluster(t: TestContext): Promise<Cluster> {
	const busPorts = new Map<RedisProcess, number>();
	const servers = await Promise.all(
		Array.from({ length: 6 }, async () => {
			const busPort = await freePort();
			const server = await startRedis(
				t,
				...replicates,
				...['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', String(nodeTimeoutMs)],
				...['--cluster-require-full-coverage', 'no', '--cluster-replica-validity-factor', '0'],
				// A master that has lost the others would go on, while its replica is chosen there.
				...['--cluster-allow-pubsubshard-when-down', 'no'],
			);
			busPorts.set(server, busPort);
			return server;
		}),
	);
	const ids = new Map<RedisProcess, string>();
	for (const server of servers) ids.set(server, String(await server.run('CLUSTER', 'MYID')));
	const cluster = new Cluster(servers, ids);
	const [first, ...others] = servers as [RedisProcess, ...RedisProcess[]];
	for (const shard of shards) {
		const server = servers[shard] as RedisProcess;
		await server.run('CLUSTER', 'ADDSLOTSRANGE', firstSlots[shard], (firstSlots[shard + 1] as number) - 1);
		await server.run('CLUSTER', 'SET-CONFIG-EPOCH', shard + 1);
	}
	for (const other of others) await first.run('CLUSTER', 'MEET', '127.0.0.1', other.port, busPorts.get(other) as number);
	for (const shard of shards) {
		const [master, replica] = [servers[shard], servers[shard + 3]] as [RedisProcess, RedisProcess];
		// It has to hear of its master first.
		await becomes(async () => String(await replica.run('CLUSTER', 'NODES')).includes(cluster.idOf(master)));
		await replica.run('CLUSTER', 'REPLICATE', cluster.idOf(master));
	}
	await cluster.isSettled();
	// Each has to know the replicas as such: they vote by that, and tell the clients.
	for (const server of servers)
		await becomes(async () => (String(await server.run('CLUSTER', 'NODES')).match(/ (myself,)?slave /g) ?? []).length === 3);
	return cluster;
}

export class SentinelSet {
	constructor(
		readonly servers: readonly [RedisProcess, RedisProcess],
		readonly sentinels: readonly RedisProcess[],
	) {}

	get url(): string {
		return `redis+sentinel://${this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/rooms`;
	}

	get sentinel(): RedisProcess {
		return this.sentinels[0] as RedisProcess;
	}

	/** The master by the account of a Sentinel. */
	async master(): Promise<RedisProcess> {
		const [, port] = (await this.sentinel.run('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'rooms')) as [string, string];
		return this.servers.find((server) => String(server.port) === String(port)) as RedisProcess;
	}

	/** Resolves when the Sentinels could replace this master. */
	async isSettled(): Promise<void> {
		for (const sentinel of this.sentinels) {
			await becomes(async () => {
				const list = ((await sentinel.run('SENTINEL', 'MASTER', 'rooms')) as unknown[]).map(String);
				const fieldOf = (name: string) => list[list.indexOf(name) + 1];
				return fieldOf('num-slaves') === '1' && fieldOf('num-other-sentinels') === '2' && fieldOf('flags') === 'master';
			});
			await becomes(async () => {
				const [replica] = (await sentinel.run('SENTINEL', 'REPLICAS', 'rooms')) as unknown[][];
				const list = (replica ?? []).map(String);
				return list[list.indexOf('master-link-status') + 1] === 'ok' && list[list.indexOf('flags') + 1] === 'slave';
			});
		}
	}
}

/** Starts a master, its replica, and three Sentinels that call it `rooms`. */
export async function startSentinels(t: TestContext): Promise<SentinelSet> {
	const master = await startRedis(t, ...replicates);
	const replica = await startRedis(t, ...replicates, '--replicaof', `127.0.0.1 ${master.port}`);
	await becomes(async () => /master_link_status:up/.test(String(await replica.run('INFO', 'replication'))));
	const sentinels = await Promise.all(shards.map(() => startSentinel(t, master.port)));
	const set = new SentinelSet([master, replica], sentinels);
	await set.isSettled();
	return set;
}

async function startSentinel(t: TestContext, masterPort: number): Promise<RedisProcess> {
	const port = await freePort();
	const folder = temporaryFolder(t);
	const file = join(folder, 'sentinel.conf');
	const lines = [
		`sentinel monitor rooms 127.0.0.1 ${masterPort} 2`,
		'sentinel down-after-milliseconds rooms 1000',
		'sentinel failover-timeout rooms 3000',
	];
	writeFileSync(file, `${lines.join('\n')}\n`);
	const options = ['--sentinel', '--bind', '127.0.0.1', '--port', String(port), '--dir', folder];
	const sentinel = new RedisProcess(t, port, [file, ...options]);
	await sentinel.start();
	return sentinel;
}

async function isMaster(server: RedisProcess): Promise<boolean> {
	return /role:master/.test(String(await server.run('INFO', 'replication')));
}
