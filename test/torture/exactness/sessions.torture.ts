// Messages to sessions, each to a crowd of them, beside messages on the paths of their connections.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { each } from '#bench/load/connection.js';
import { startNamingService } from '../../support/naming-service.js';
import { seededRandom } from '../../support/random.js';
import { needsRedis, startRedis } from '../../support/redis.js';
import { inForm, torture } from '../support/torture.js';
import { type Client, type Kind, openClient } from './client.js';
import { headBytes, Messages } from './messages.js';
import { patience } from './mixed.js';
import { nothingIsLeft, type RunningNode, startNode } from './nodes.js';
import { Clock, Order } from './order.js';
import { Posters, requestOf } from './posters.js';

const kinds: readonly Kind[] = ['websocket', 'event-stream', 'groups'];
const paths = 10;
const sessions = 90;
const crowds = 30;
const sessionsOfCrowd = 12;
const bytesMax = 16_384;
const rounds = inForm(8, 100);
const opensAtOnce = 20;
const publishers = { client: 0, operator: 1 };
const thrown = 'messages to crowds of sessions, beside messages on the paths of their connections';
const promised =
	'Every session gets every message to it once, all sessions in one order, and its connection every message of its path.';

torture(
	{ thrown: `${thrown}, on one node`, promised },
	async (t) => {
		const service = await startNamingService(t);
		return run(t, [await startNode(t, '--auth', service.url)]);
	},
	patience,
);

torture(
	{ thrown: `${thrown}, on two nodes with a relay`, promised },
	async (t) => {
		const [service, redis] = await Promise.all([startNamingService(t), startRedis(t)]);
		const start = () => startNode(t, '--auth', service.url, '--relay', redis.url, '--relay-linger', '1s');
		return run(t, await Promise.all([start(), start()]));
	},
	{ ...needsRedis, ...patience },
);

async function run(t: TestContext, nodes: readonly RunningNode[]): Promise<string> {
	const random = seededRandom(t);
	const messages = new Messages((limit) => random.below(limit), bytesMax);
	const clock = new Clock();
	const newOrders = (count: number, first: number, name: string) =>
		Array.from({ length: count }, (_, nth) => new Order(first + nth, `${name}${nth}`, messages, clock, nodes.length > 1));
	const ofPaths = newOrders(paths, 0, '/path/');
	const ofCrowds = newOrders(crowds, paths, 'crowd ');
	const orders = [...ofPaths, ...ofCrowds];
	let failure: Error | undefined;
	let deliveries = 0;
	const fail = (error: Error) => {
		failure ??= error;
	};
	const world = { random, fail, onDelivery: () => deliveries++ };

	const names = ofCrowds.map(() => new Set<number>());
	for (const crowd of names) while (crowd.size < sessionsOfCrowd) crowd.add(random.below(sessions));
	const clients = await each(sessions, opensAtOnce, async (nth) => {
		const { target } = nodes[nth % nodes.length] as RunningNode;
		const own = [ofPaths[random.below(paths)] as Order];
		const client = await openClient(world, target, kinds[nth % kinds.length] as Kind, own, { stays: true, query: `?user${nth}` });
		for (const [crowd, order] of ofCrowds.entries()) if (names[crowd]?.has(nth)) client.joins(order, clock.next());
		return client;
	});
	const posters = nodes.map(({ operator }) => new Posters(operator, 4, random, fail, true));
	const isComplete = (client: Client) =>
		failure !== undefined || client.messages === [...client.pieces.values()].reduce((sum, { order }) => sum + order.published, 0);

	for (let round = 0; round < rounds; round++) {
		const answers: Promise<void>[] = [];
		const shape = () => ({ bytes: headBytes + (random.below(bytesMax - headBytes) >> random.below(14)), isBinary: false });
		for (const [crowd, order] of ofCrowds.entries()) {
			const payload = order.publish(publishers.operator, shape());
			const to = `X-Session: ${[...(names[crowd] ?? [])].map((nth) => `user${nth}`).join(', ')}\r\n`;
			const poster = posters[random.below(posters.length)] as Posters;
			answers.push(poster.send(requestOf(random, 'POST', '/send', payload, false, to)));
		}
		for (const client of clients) {
			const [first] = client.pieces.values();
			if (client.kind === 'event-stream' || first === undefined) continue;
			// The messages of a publisher have one order: it is another client only when the last one's message has come.
			if (first.order.inFlight(publishers.client) === 0)
				client.publish(first.order, first.order.publish(publishers.client, shape()), false);
		}
		await Promise.all([...answers, ...clients.map((client) => client.until(() => isComplete(client)))]);
		if (failure !== undefined) throw failure;
	}
	await Promise.all(clients.map((client) => client.leave('close')));
	for (const some of posters) some.end();
	for (const order of orders) order.judge();
	if (failure !== undefined) throw failure;
	assert.ok(deliveries > 0);
	const sent = orders.reduce((sum, { published }) => sum + published, 0);
	const left = await nothingIsLeft(nodes);
	return `${deliveries} deliveries of ${sent} messages to ${crowds} crowds of ${sessions} sessions and on ${paths} paths: none lost, doubled, reordered or crossed. ${left}`;
}
