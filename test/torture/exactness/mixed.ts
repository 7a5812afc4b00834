// Runs a mixed load, and tells what happened.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { seededRandom } from '../../support/random.js';
import { inForm, isQuick } from '../support/torture.js';
import { Load } from './load.js';
import { nothingIsLeft, type RunningNode } from './nodes.js';
import { type Settings, Traffic } from './traffic.js';

/** For the option of a row: what takes longer never ends. */
export const patience = { timeout: inForm(300_000, 1_800_000) };

export const mixed: Settings = {
	channels: 200,
	deliveries: 0,
	stayers: { websocket: 2, 'event-stream': 2, groups: 2 },
	connectsPerSecond: 1_000,
	ownChannels: 25,
};

export async function runMixed(t: TestContext, nodes: readonly RunningNode[], settings: Settings): Promise<string> {
	const random = seededRandom(t);
	const traffic = new Traffic(nodes, random, settings);
	const load = new Load(traffic);
	await load.open();
	await load.run();
	await load.end();
	const left = await nothingIsLeft(nodes);
	const { published, deliveries, sizes } = traffic;
	const { connects, seconds, ownChannels } = load.churn;
	// The short form has too few messages for every size. A machine on which half of the connects do not come about is too slow for this row.
	if (!isQuick) {
		assert.deepEqual([sizes.least, sizes.most], [1, 65_536]);
		assert.ok(connects / seconds > settings.connectsPerSecond / 2, `${connects} connects in ${seconds} s`);
	}
	return [
		`${deliveries} deliveries of ${published} messages of ${sizes.least} to ${sizes.most} bytes (${Math.round(sizes.sum / published)} on average)`,
		`over ${settings.channels} ${settings.channels > 1 ? `channels, and ${ownChannels} that visitors opened` : 'channel'};`,
		`${Math.round(connects / seconds)} connects and disconnects a second (${connects}): none lost, doubled, reordered, crossed or changed. ${left}`,
	].join(' ');
}
