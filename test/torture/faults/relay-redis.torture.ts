// Faults of the Redis that three nodes share, and of a node, under load by websocket, POST and event stream.

import { faults, survive, timeoutFor } from '../../relay/support/faults.js';
import { World } from '../../relay/support/world.js';
import { seededRandom } from '../../support/random.js';
import { inForm, torture } from '../support/torture.js';
import { withRedis } from './support/with-redis.js';

// With as many of the network's faults (relay-network.torture.ts), a million in the whole form.
const deliveries = inForm(50_000, 500_000) / faults.length;

for (const fault of faults)
	torture(
		{
			thrown: fault.thrown,
			promised:
				fault.losing.length === 0
					? 'No subscriber is closed, and none misses a message.'
					: `Every subscriber of ${fault.losing.length === 3 ? 'the nodes' : 'that node'} is closed with 1012 and comes again; all get gapless pieces of one order.`,
		},
		async (t) => survive(await World.start(t, seededRandom(t), timeoutFor(fault)), fault, deliveries),
		withRedis,
	);
