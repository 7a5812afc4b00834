// The state that all clients of a mixed load share: channels, nodes, and the counts of published and delivered messages.
import type { Target } from '#bench/load/job.js';
import type { Random } from '../../support/random.js';
import type { Client, Kind, World } from './client.js';
import { Messages, type Shape } from './messages.js';
import { Clock, Order } from './order.js';
import type { Posters } from './posters.js';
import { randomShape } from './shapes.js';

/** A node, as clients and as the operator see it. */
export type Node = { readonly target: Target; readonly operator: Target };

export type Settings = {
	readonly channels: number;
	readonly deliveries: number;
	/** How many subscribers of each kind stay on each channel. */
	readonly stayers: Readonly<Record<Kind, number>>;
	/** How many connections come each second. */
	readonly connectsPerSecond: number;
	/** Of a hundred visits, how many are on a channel of their own. */
	readonly ownChannels: number;
};

/** The publishers of each channel. Visitors take the places of the last two. */
export const publishers = { websocket: 0, groups: 1, post: 2, operator: 3, visitor: 4, visitingPost: 5 } as const;

const bytesMax = 65_536;

export class Traffic implements World {
	readonly clock = new Clock();
	readonly orders: readonly Order[];
	readonly #messages: Messages;
	readonly sizes = { least: Number.POSITIVE_INFINITY, most: 0, sum: 0 };
	published = 0;
	deliveries = 0;
	/** How many bytes are on their way to the subscribers that stay, all in all. */
	onTheirWay = 0;
	failure: Error | undefined;
	/** Of each node. */
	posters: readonly Posters[] = [];
	operators: readonly Posters[] = [];
	readonly #stayers = new Map<Order, number>();

	constructor(
		readonly nodes: readonly Node[],
		readonly random: Random,
		readonly settings: Settings,
	) {
		this.#messages = new Messages((limit) => random.below(limit), bytesMax);
		this.orders = Array.from({ length: settings.channels }, (_, index) => this.newOrder(index, `/exact/${index}`));
	}

	newOrder(index: number, path: string): Order {
		return new Order(index, path, this.#messages, this.clock, this.nodes.length > 1);
	}

	node(turn: number): Node {
		return this.nodes[turn % this.nodes.length] as Node;
	}

	one<Item>(items: readonly Item[]): Item {
		return items[this.random.below(items.length)] as Item;
	}

	fail(error: Error): void {
		this.failure ??= error;
	}

	/** Counts another subscriber that stays on a channel. */
	stays(order: Order): void {
		this.#stayers.set(order, (this.#stayers.get(order) ?? 0) + 1);
	}

	onDelivery(client: Client, _order: Order, bytes: number): void {
		this.deliveries++;
		if (client.stays) this.onTheirWay -= bytes;
	}

	/** A message that is published now. */
	write(order: Order, publisher: number): { payload: Buffer; shape: Shape } {
		const shape = randomShape(this.random, bytesMax);
		this.published++;
		this.sizes.least = Math.min(this.sizes.least, shape.bytes);
		this.sizes.most = Math.max(this.sizes.most, shape.bytes);
		this.sizes.sum += shape.bytes;
		this.onTheirWay += shape.bytes * (this.#stayers.get(order) ?? 0);
		return { payload: order.publish(publisher, shape), shape };
	}
}
