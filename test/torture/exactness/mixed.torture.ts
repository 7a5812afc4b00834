import { inForm, torture } from '../support/torture.js';
import { mixed, patience, runMixed } from './mixed.js';
import { startNode } from './nodes.js';

torture(
	{
		thrown:
			'messages of all kinds of publishers to all kinds of subscribers on 200 channels, while 1,000 clients a second come and go, on one node',
		promised:
			'Every subscriber gets every message of its channel once, in the one order of the channel. At the end nothing is left.',
	},
	async (t) => runMixed(t, [await startNode(t)], { ...mixed, deliveries: inForm(30_000, 1_000_000) }),
	patience,
);
