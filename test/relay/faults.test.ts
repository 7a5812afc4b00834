// "Never silently skipped", with a relay: whatever happens to Redis or to a node while messages are published everywhere, a connection
// has a gapless piece of the one order of its channel, or is closed. More faults are in test/torture/faults.
import { test } from 'node:test';
import { seededRandom } from '../support/random.js';
import { needsRedis } from '../support/redis.js';
import { redisIsKilled, subscribersAreKilled, survive } from './support/faults.js';
import { World } from './support/world.js';

// A delivery is one message at one subscriber.
const deliveries = Number(process.env.TEST_DELIVERIES ?? 50_000);

test('every subscriber gets a gapless piece of one order or is closed, whatever happens under load', needsRedis, async (t) => {
	const world = await World.start(t, seededRandom(t));
	for (const fault of [redisIsKilled, subscribersAreKilled])
		await t.test(fault.thrown, async (t) => t.diagnostic(await survive(world, fault, deliveries / 2)));
});
