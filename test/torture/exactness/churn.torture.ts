import { inForm, torture } from '../support/torture.js';
import { mixed, patience, runMixed } from './mixed.js';
import { startNode } from './nodes.js';

torture(
	{
		thrown: 'clients that come and go on one channel, while messages of all kinds of publishers go to its subscribers',
		promised:
			'Every subscriber gets every message that is published while it is subscribed, from its first to its last without a gap, and none from before.',
	},
	async (t) =>
		runMixed(t, [await startNode(t)], {
			...mixed,
			channels: 1,
			ownChannels: 0,
			stayers: { websocket: 3, 'event-stream': 2, groups: 2 },
			deliveries: inForm(12_000, 300_000),
		}),
	patience,
);
