// What happens to Redis, or to a node, while messages are published everywhere; and what the clients see of it.
import assert from 'node:assert/strict';
import { request } from '../../support/http.js';
import { quietChannel, type World } from './world.js';

const floodBytes = 65_536;
// More than the system keeps for a connection that is not read, and the limit of Redis.
const floodMax = 2_000;
const shortStops = 20;

export type Fault = {
	readonly thrown: string;
	/** The nodes whose connections are all closed. */
	readonly losing: readonly number[];
	/** `closed` resolves when they are. */
	readonly strike: (world: World, closed: () => Promise<void>) => Promise<void>;
};

export const redisIsKilled: Fault = {
	thrown: 'Redis is killed and started again',
	losing: [0, 1, 2],
	async strike({ redis }) {
		await redis.kill();
		await redis.start();
	},
};

export const subscribersAreKilled: Fault = {
	thrown: 'Redis ends the connections of all nodes (`CLIENT KILL TYPE pubsub`)',
	losing: [0, 1, 2],
	async strike({ redis }) {
		await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
	},
};

export const faults: readonly Fault[] = [
	redisIsKilled,
	{
		thrown: 'Redis stops (SIGSTOP) for longer than `--relay-timeout`, and goes on',
		losing: [0, 1, 2],
		async strike({ redis }, closed) {
			redis.signal('SIGSTOP');
			await closed();
			redis.signal('SIGCONT');
		},
	},
	{
		thrown: `Redis stops ${shortStops} times for less than \`--relay-timeout\``,
		losing: [],
		async strike({ redis, nodes }) {
			for (let stops = 0; stops < shortStops; stops++) {
				redis.signal('SIGSTOP');
				// The nodes go on meanwhile.
				for (const { operatorPort } of nodes) assert.equal((await request(operatorPort, { path: '/healthz' })).status, 200);
				redis.signal('SIGCONT');
				assert.equal(await redis.run('PING'), 'PONG');
			}
		},
	},
	{
		thrown: 'Redis is shut down (`SHUTDOWN`) and started again',
		losing: [0, 1, 2],
		async strike({ redis }) {
			await assert.rejects(redis.run('SHUTDOWN', 'NOSAVE'), /closed/);
			await redis.kill();
			await redis.start();
		},
	},
	subscribersAreKilled,
	{
		thrown: 'a node stops reading until Redis cuts it (`client-output-buffer-limit pubsub`)',
		losing: [0],
		async strike(world) {
			await world.redis.run('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 8mb 0 0');
			const node = world.nodes[0] ?? assert.fail();
			node.signal('SIGSTOP');
			// The reference listens there too.
			for (let sent = 0; (await world.publishPast(quietChannel, floodBytes)) > 1; sent++) assert.ok(sent < floodMax);
			node.signal('SIGCONT');
		},
	},
	{
		thrown: 'a node is killed and started again',
		losing: [2],
		async strike(world) {
			world.mayKill = true;
			const node = world.nodes[2] ?? assert.fail();
			await node.kill();
			await node.start();
		},
	},
];

/** For `--relay-timeout`: a fault that must close no subscriber stays below it on a busy machine too. */
export function timeoutFor({ losing }: Pick<Fault, 'losing'>): string {
	return losing.length === 0 ? '30s' : '1s';
}

/**
 * Lets a fault happen halfway through so many deliveries, and asserts that each connection got a gapless piece of the one order of its
 * channel. Gives what was seen, in words.
 */
export async function survive(world: World, { losing, strike }: Fault, deliveries: number): Promise<string> {
	const before = { deliveries: world.ledger.deliveries, closed: world.closed, cut: world.cut };
	await world.run(deliveries / 2);
	const pieces = losing.flatMap((nth) => (world.clients[nth] ?? []).flatMap(({ piece }) => piece ?? []));
	const others = world.clients.flatMap((clients, nth) => (losing.includes(nth) ? [] : clients));
	const otherPieces = others.map(({ piece }) => piece);
	const allClosed = () => world.allOver(pieces);
	await strike(world, allClosed);
	await allClosed();
	await world.allConnected();
	await world.run(deliveries / 2);
	await world.pause();
	for (const [nth, { piece }] of others.entries()) assert.equal(piece, otherPieces[nth], 'a client of another node was closed');
	const checked = world.ledger.check();
	const [judged, closed, cut] = [
		world.ledger.deliveries - before.deliveries,
		world.closed - before.closed,
		world.cut - before.cut,
	];
	assert.ok(judged >= deliveries);
	const seen = [`${judged} deliveries in ${checked} gapless pieces`];
	if (closed > 0) seen.push(`${closed} connections closed by the nodes`);
	if (cut > 0) seen.push(`${cut} cut`);
	if (others.length > 0) seen.push(`${others.length} stayed open`);
	return `${seen.join('; ')}.`;
}
