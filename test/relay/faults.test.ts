// "Never silently skipped", with a relay: whatever happens to Redis or to a node while messages are published everywhere, a connection
// has a gapless piece of the one order of its channel, or is closed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from '../support/http.js';
import { seededRandom } from '../support/random.js';
import { needsRedis } from '../support/redis.js';
import { quietChannel, World } from './support/world.js';

// A delivery is one message at one subscriber.
const deliveries = Number(process.env.TEST_DELIVERIES ?? 1_000_000);
const floodBytes = 65_536;
// More than the system keeps for a connection that is not read, and the limit of Redis.
const floodMax = 2_000;
const shortStops = 20;

type Fault = {
	readonly title: string;
	/** The nodes whose connections are all closed. */
	readonly losing: readonly number[];
	/** `closed` resolves when they are. */
	readonly strike: (world: World, closed: () => Promise<void>) => Promise<void>;
};

const faults: readonly Fault[] = [
	{
		title: 'Redis is killed and started again',
		losing: [0, 1, 2],
		async strike({ redis }) {
			await redis.kill();
			await redis.start();
		},
	},
	{
		title: 'Redis stops for longer than --relay-timeout',
		losing: [0, 1, 2],
		async strike({ redis }, closed) {
			redis.signal('SIGSTOP');
			await closed();
			redis.signal('SIGCONT');
		},
	},
	{
		title: 'Redis stops some times for less than --relay-timeout',
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
		title: 'Redis is shut down and started again',
		losing: [0, 1, 2],
		async strike({ redis }) {
			await assert.rejects(redis.run('SHUTDOWN', 'NOSAVE'), /closed/);
			await redis.kill();
			await redis.start();
		},
	},
	{
		title: 'Redis ends the connections that are subscribed',
		losing: [0, 1, 2],
		async strike({ redis }) {
			await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
		},
	},
	{
		title: 'a node does not read until Redis gives it up (client-output-buffer-limit pubsub)',
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
		title: 'a node is killed and started again',
		losing: [2],
		async strike(world) {
			world.mayKill = true;
			const node = world.nodes[2] ?? assert.fail();
			await node.kill();
			await node.start();
		},
	},
];

test('every subscriber gets a gapless piece of one order or is closed, whatever happens under load', needsRedis, async (t) => {
	const world = await World.start(t, seededRandom(t));
	for (const { title, losing, strike } of faults) {
		await t.test(title, async (t) => {
			const begunMs = performance.now();
			const { deliveries: before } = world.ledger;
			const { closed: closedBefore } = world;
			await world.run(deliveries / faults.length / 2);
			const pieces = losing.flatMap((nth) => (world.clients[nth] ?? []).flatMap(({ piece }) => piece ?? []));
			const allClosed = () => world.allOver(pieces);
			await strike(world, allClosed);
			await allClosed();
			await world.allConnected();
			await world.run(deliveries / faults.length / 2);
			await world.pause();
			const checked = world.ledger.check();
			const seconds = ((performance.now() - begunMs) / 1_000).toFixed(1);
			t.diagnostic(
				`${world.ledger.deliveries - before} deliveries, ${world.closed - closedBefore} closed, ${checked} pieces, ${seconds} s`,
			);
		});
	}
	assert.ok(world.ledger.deliveries >= deliveries);
});
