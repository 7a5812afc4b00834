// That a channel is never split: every spelling of a path comes to the one node that has it.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Random, seededRandom } from '../support/random.js';
import { HttpsClient, subscribeOver } from './support/clients.js';
import type { Front } from './support/front.js';
import { needsHaproxy, startHaproxy } from './support/haproxy.js';
import { needsNginx, startNginx } from './support/nginx.js';
import { type Node, startNodes } from './support/nodes.js';

/** Names of channels, decoded: those that applications have, and some of whatever characters. */
function channelNames(random: Random, count: number): string[] {
	const names = new Set<string>();
	const letters = [...'abAB019-._~!$&\'()*+,;=:@/ %?#"<>[]\\^`{|}éßя中😀\u0301'];
	for (let i = 0; i < count / 2; i++) names.add(`/room/${i}`);
	while (names.size < count) {
		const length = 1 + random.below(12);
		const name = `/${Array.from({ length }, () => letters[random.below(letters.length)]).join('')}`;
		// Proxies resolve . and .. in a path to find the node, and refuse to go above the root.
		if (!/\/\.\.?(\/|$)/.test(name)) names.add(name);
	}
	return [...names];
}

/** One way to write a name as a path: some characters encoded, in either case of digits, and perhaps a query. */
function spelling(random: Random, name: string, takesRawBytes: boolean): string {
	const path = [...name].map((character, i) => {
		const mustEncode = /[ %?#"<>[\]\\^`{|}]/.test(character) || (!takesRawBytes && character > '~');
		if (i === 0 || (!mustEncode && random.below(4) > 0)) return character;
		const encoded = [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
		return random.below(2) === 0 ? encoded : encoded.toUpperCase();
	});
	const queries = ['', '', '?', `?token=${random.below(1_000_000)}`, '?a=/b/../c&é=%zz?'.replace(takesRawBytes ? '' : 'é', '')];
	return path.join('') + queries[random.below(queries.length)];
}

async function meetEverywhere(t: TestContext, front: Front, nodes: readonly Node[], takesRawBytes: boolean): Promise<void> {
	const random = seededRandom(t);
	const names = channelNames(random, 1_000);
	const client = new HttpsClient(t, front.port);
	const some = (name: string) => spelling(random, name, takesRawBytes);
	for (let done = 0; done < names.length; done += 50) {
		await Promise.all(
			names.slice(done, done + 50).map(async (name) => {
				const subscribers = [await subscribeOver(t, front.port, some(name))];
				if (random.below(4) === 0) subscribers.push(await subscribeOver(t, front.port, some(name)));
				const texts = Array.from({ length: 3 }, (_, i) => `${i} to ${name}`);
				for (const text of texts) assert.equal(await client.publish(some(name), text), subscribers.length, name);
				// Were anything delivered twice, it would come before this.
				subscribers[0]?.send('last');
				for (const subscriber of subscribers) assert.deepEqual(await subscriber.texts(4), [...texts, 'last'], name);
			}),
		);
	}
	const placed = await Promise.all(nodes.map((node) => node.channels()));
	assert.deepEqual(placed.flatMap((channels) => [...channels.keys()]).sort(), names.sort());
	for (const { size } of placed) assert.ok(size > 200 && size < 500, `${size} of 1,000 channels on one node`);
}

test('behind nginx, subscribers and POSTs of 1,000 paths meet however the paths are spelled', needsNginx, async (t) => {
	const nodes = await startNodes(t, 3);
	await meetEverywhere(t, await startNginx(t, 'cluster.conf', nodes), nodes, true);
});

test('behind HAProxy, subscribers and POSTs of 1,000 paths meet however the paths are spelled', needsHaproxy, async (t) => {
	const nodes = await startNodes(t, 3);
	await meetEverywhere(t, await startHaproxy(t, nodes), nodes, false);
});
