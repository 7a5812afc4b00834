// Faults of the network between three nodes and their Redis, under load by websocket, POST and event stream. A small TCP relay stands
// before each node's Redis.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { type Fault, survive, timeoutFor } from '../../relay/support/faults.js';
import { World } from '../../relay/support/world.js';
import { post, request } from '../../support/http.js';
import { type Random, seededRandom } from '../../support/random.js';
import { startRelay, type TcpRelay } from '../support/tcp-relay.js';
import { inForm, torture } from '../support/torture.js';
import { withRedis } from './support/with-redis.js';

const shortStalls = 20;
const resetWithinBytes = 2_000;
// Between two messages of the load a slow network passes few bytes.
const slowDeliveries = inForm(500, 5_000);

type NetworkFault = Omit<Fault, 'strike'> & {
	readonly strike: (relays: readonly TcpRelay[], ...rest: [...Parameters<Fault['strike']>, Random]) => Promise<void>;
};

const faults: readonly NetworkFault[] = [
	{
		thrown: 'what a node sends to Redis does not get there for longer than `--relay-timeout`',
		losing: [0],
		async strike(relays, _, closed) {
			relays[0]?.toServer.stall();
			await closed();
			relays[0]?.toServer.resume();
		},
	},
	{
		thrown: 'what Redis sends to a node does not get there for longer than `--relay-timeout`',
		losing: [0],
		async strike(relays, _, closed) {
			relays[0]?.toClient.stall();
			await closed();
			relays[0]?.toClient.resume();
		},
	},
	{
		thrown: `the network between the nodes and Redis stalls ${shortStalls} times for less than \`--relay-timeout\``,
		losing: [],
		async strike(relays, { nodes, redis }) {
			const ways = relays.flatMap(({ toServer, toClient }) => [toServer, toClient]);
			for (let stalls = 0; stalls < shortStalls; stalls++) {
				for (const way of ways) way.stall();
				// The nodes go on meanwhile.
				for (const { operatorPort } of nodes) assert.equal((await request(operatorPort, { path: '/healthz' })).status, 200);
				for (const way of ways) way.resume();
				assert.equal(await redis.run('PING'), 'PONG');
			}
		},
	},
	{
		thrown: 'each piece between the nodes and Redis is late by up to 50 ms, in both directions',
		losing: [],
		async strike(relays, world) {
			for (const { toServer, toClient } of relays) toServer.delayMsMax = toClient.delayMsMax = 50;
			await world.run(slowDeliveries);
			for (const { toServer, toClient } of relays) toServer.delayMsMax = toClient.delayMsMax = 0;
		},
	},
	{
		thrown: 'the bytes between a node and Redis come one by one, in both directions',
		losing: [],
		async strike([relay = assert.fail()], world) {
			relay.toServer.pieceBytesMax = relay.toClient.pieceBytesMax = 1;
			await world.run(slowDeliveries);
			relay.toServer.pieceBytesMax = relay.toClient.pieceBytesMax = Number.POSITIVE_INFINITY;
		},
	},
	{
		thrown: 'the connections of the nodes to Redis are reset after a random number of bytes of the load',
		losing: [0, 1, 2],
		async strike(relays, _world, closed, random) {
			// Each node has one connection.
			for (const { toClient } of relays) toClient.resetAfterBytes = toClient.passedBytes + 1 + random.below(resetWithinBytes);
			await closed();
			for (const { toClient } of relays) toClient.resetAfterBytes = Number.POSITIVE_INFINITY;
		},
	},
	{
		thrown: 'a node gets a FIN from Redis, and could still send',
		losing: [0],
		strike: async ([relay]) => relay?.halfClose('client'),
	},
	{
		thrown: 'Redis gets a FIN from a node, and could still send',
		losing: [0],
		strike: async ([relay]) => relay?.halfClose('server'),
	},
	{
		thrown: 'one node of three is cut off from Redis, and comes back',
		losing: [0],
		async strike([relay = assert.fail()], world, closed) {
			relay.refuse();
			relay.reset();
			await closed();
			const [lost, ...others] = world.nodes;
			assert.equal((await post(lost?.port ?? 0, '/elsewhere', 'x')).status, 503);
			for (const { port } of others) assert.equal((await post(port, '/elsewhere', 'x')).status, 200);
			await world.run(slowDeliveries);
			await relay.accept();
		},
	},
	{
		thrown: 'Redis refuses all connections for a while, after it has reset those that were there',
		losing: [0, 1, 2],
		async strike(relays, { nodes }, closed) {
			for (const relay of relays) {
				relay.refuse();
				relay.reset();
			}
			await closed();
			for (const { port } of nodes) assert.equal((await post(port, '/elsewhere', 'x')).status, 503);
			for (const relay of relays) await relay.accept();
		},
	},
];

// With as many of Redis itself (relay-redis.torture.ts), a million in the whole form.
const deliveries = inForm(50_000, 500_000) / faults.length;

function promiseOf({ losing }: NetworkFault): string {
	if (losing.length === 0) return 'No subscriber is closed, and none misses a message.';
	if (losing.length === 1) return 'The subscribers of that node are closed with 1012 and come again; those of the others stay.';
	return 'All subscribers are closed with 1012 and come again; all get gapless pieces of one order.';
}

describe('the network between nodes and Redis', { concurrency: 2 }, () => {
	for (const fault of faults)
		torture(
			{ thrown: fault.thrown, promised: promiseOf(fault) },
			async (t) => {
				const random = seededRandom(t);
				const relays: TcpRelay[] = [];
				const world = await World.start(t, random, timeoutFor(fault), async ({ port }) => {
					const relay = await startRelay(t, { host: '127.0.0.1', port });
					relays.push(relay);
					return `redis://127.0.0.1:${relay.port}`;
				});
				const strike: Fault['strike'] = (struck, closed) => fault.strike(relays, struck, closed, random);
				return survive(world, { ...fault, strike }, deliveries);
			},
			withRedis,
		);
});
