// Each size around the boundaries, from each kind of publisher to each kind of subscriber.
import { seededRandom } from '../../support/random.js';
import { inForm, torture } from '../support/torture.js';
import { Client, type Kind, openClient } from './client.js';
import { Messages } from './messages.js';
import { patience } from './mixed.js';
import { nothingIsLeft, startNode } from './nodes.js';
import { Clock, Order } from './order.js';
import { Posters } from './posters.js';

const largest = 1_048_576;
/** Around each, the head of a frame, or of a message of groups, has its boundary. */
const around = [1, 126, 65_536];
const sizes = [
	...around.flatMap((size) => range(Math.max(1, size - inForm(40, 100)), size + inForm(4, 100))),
	...[16_384, 131_072, 524_288].flatMap((size) => range(size - 1, size + 1)),
	largest - 1,
	largest,
];
const kinds: readonly Kind[] = ['websocket', 'event-stream', 'groups'];

torture(
	{
		thrown:
			'messages of each size around 125, 126, 65,535 and 65,536 bytes, and up to a --max-message of 1 MiB, text and binary, of each kind of publisher',
		promised: 'Each kind of subscriber gets each of them as it was sent.',
	},
	async (t) => {
		const random = seededRandom(t);
		const node = await startNode(t, '--max-message', '1MiB', '--max-backlog', '16MiB');
		const messages = new Messages((limit) => random.below(limit), largest);
		const order = new Order(0, '/sizes', messages, new Clock(), false);
		let failure: Error | undefined;
		let deliveries = 0;
		const fail = (error: Error) => {
			failure ??= error;
		};
		const world = { random, fail, onDelivery: () => deliveries++ };
		const clients = await Promise.all(
			[...kinds, ...kinds].map((kind) => openClient(world, node.target, kind, [order], { stays: true })),
		);
		const [websocket, , groups] = clients as [Client, Client, Client];
		const posters = new Posters(node.target, 1, random, fail);
		const operators = new Posters(node.operator, 1, random, fail, true);
		const publishers = [websocket, groups, posters, operators];
		const ways = publishers.flatMap((publisher, nth) => [false, true].map((isBinary) => ({ publisher, nth, isBinary })));
		for (const [turn, bytes] of sizes.entries())
			for (const [way, { publisher, nth, isBinary }] of ways.entries()) {
				// In the quick form, each size takes some of the ways.
				if ((way + turn) % inForm(4, 1) > 0) continue;
				const payload = order.publish(nth, { bytes, isBinary });
				if (publisher instanceof Client) publisher.publish(order, payload, isBinary);
				else await publisher.publish(order.path, payload, isBinary);
				await websocket.until(() => websocket.messages === order.published);
				if (failure !== undefined) throw failure;
			}
		await Promise.all(clients.map((client) => client.until(() => client.messages === order.published)));
		await Promise.all(clients.map((client) => client.leave('close')));
		for (const some of [posters, operators]) some.end();
		order.judge();
		if (failure !== undefined) throw failure;
		const left = await nothingIsLeft([node]);
		return `${deliveries} deliveries of ${order.published} messages of ${sizes.length} sizes to ${clients.length} subscribers, each as it was sent. ${left}`;
	},
	patience,
);

function range(from: number, to: number): number[] {
	return Array.from({ length: to - from + 1 }, (_, nth) => from + nth);
}
