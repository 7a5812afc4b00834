import assert from 'node:assert/strict';
import { becomes } from '../../relay/support/becomes.js';
import { needsRedis, startRedis } from '../../support/redis.js';
import { inForm, torture } from '../support/torture.js';
import { mixed, patience, runMixed } from './mixed.js';
import { startNode } from './nodes.js';

torture(
	{
		thrown:
			'messages of all kinds of publishers to all kinds of subscribers on 200 channels, while 1,000 clients a second come and go, on two nodes with a relay',
		promised:
			'Every subscriber of both nodes gets every message of its channel once, in the one order of the channel. At the end nothing is left, in Redis too.',
	},
	async (t) => {
		const redis = await startRedis(t);
		const flags = ['--relay', redis.url, '--relay-linger', '1s'];
		const nodes = await Promise.all([startNode(t, ...flags), startNode(t, ...flags)]);
		const happened = await runMixed(t, nodes, { ...mixed, deliveries: inForm(30_000, 1_000_000) });
		const channelsOfRedis = async () => (await redis.run('PUBSUB', 'SHARDCHANNELS')) as string[];
		await becomes(async () => (await channelsOfRedis()).length === 0);
		assert.deepEqual(await channelsOfRedis(), []);
		return `${happened} Redis has no channel.`;
	},
	{ ...needsRedis, ...patience },
);
