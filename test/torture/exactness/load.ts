// A mixed load: on each channel subscribers of each kind that stay, publishers of each kind, and visitors that come and go.
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { each } from '#bench/load/connection.js';
import type { Target } from '#bench/load/job.js';
import { Churn } from './churn.js';
import { type Client, type Kind, openClient } from './client.js';
import type { Order } from './order.js';
import { Posters } from './posters.js';
import { publishers, type Traffic } from './traffic.js';

/** A client of groups has so many channels. */
const channelsOfGroups = 20;
/** Less than each of the subscribers that stay may have unread. */
const onTheirWayMax = 3 * 1_048_576;
const burstMax = 8;
/** A quarter of the messages goes to these. */
const hotChannels = 5;
const postersPerNode = 8;
const opensAtOnce = 50;
const stepsPerTurn = 32;
const fewSteps = 4;
/** When nothing has been delivered for this time, the messages that are still missing are lost. */
const patienceMs = 60_000;

export class Load {
	readonly churn: Churn;
	readonly #stayers: Client[] = [];
	/** The subscribers that publish, by their channels. */
	readonly #websockets = new Map<Order, Client>();
	readonly #groups = new Map<Order, Client>();

	constructor(readonly traffic: Traffic) {
		this.churn = new Churn(traffic);
	}

	/** Opens the subscribers that stay. */
	async open(): Promise<void> {
		const { orders, settings, nodes, random } = this.traffic;
		const { stayers } = settings;
		const opens: (() => Promise<void>)[] = [];
		for (const [nth, order] of orders.entries()) {
			for (let i = 0; i < stayers.websocket; i++)
				opens.push(async () => {
					const client = await this.#stay(nth + i, 'websocket', [order]);
					// The last websocket publishes, so that the publisher is not the reference.
					if (i === stayers.websocket - 1) this.#websockets.set(order, client);
				});
			for (let i = 0; i < stayers['event-stream']; i++)
				opens.push(async () => void (await this.#stay(nth + i, 'event-stream', [order])));
		}
		for (let i = 0; i < stayers.groups; i++)
			for (let first = 0; first < orders.length; first += channelsOfGroups)
				opens.push(async () => {
					const own = orders.slice(first, first + channelsOfGroups);
					const client = await this.#stay(i + first / channelsOfGroups, 'groups', own);
					for (const order of own) this.#groups.set(order, client);
				});
		await each(opens.length, opensAtOnce, (nth) => (opens[nth] as () => Promise<void>)());
		const newPosters = (target: Target, isOperator: boolean) =>
			new Posters(target, postersPerNode, random, (error) => this.traffic.fail(error), isOperator);
		this.traffic.posters = nodes.map(({ target }) => newPosters(target, false));
		this.traffic.operators = nodes.map(({ operator }) => newPosters(operator, true));
	}

	async #stay(turn: number, kind: Kind, orders: readonly Order[]): Promise<Client> {
		const client = await openClient(this.traffic, this.traffic.node(turn).target, kind, orders, { stays: true });
		this.#stayers.push(client);
		for (const order of orders) this.traffic.stays(order);
		return client;
	}

	/** Runs until there were so many deliveries, and all of them have come. */
	async run(): Promise<void> {
		const { traffic, churn } = this;
		const isFull = () => traffic.onTheirWay >= onTheirWayMax;
		churn.start();
		const watch = this.#watch();
		while (traffic.deliveries < traffic.settings.deliveries) {
			watch();
			// Visitors go first, so that they come as often as they shall.
			const steps = churn.comeIfDue() ? fewSteps : stepsPerTurn;
			for (let step = 0; step < steps && !isFull(); step++) this.#step();
			// Turns without a rest would keep a core from the server.
			if (isFull()) await pause(1);
			else await turn();
		}
		churn.stop();
		await this.#until(() => churn.isOver && this.#hasAll());
		// Behind all that was published before, so that nothing comes twice after it.
		for (const order of traffic.orders) this.#publish(order, publishers.post, 1);
		await this.#until(() => this.#hasAll());
	}

	/** Whether the subscribers that stay have everything. */
	#hasAll(): boolean {
		const { onTheirWay, orders } = this.traffic;
		return onTheirWay === 0 && !orders.some((order) => order.isInFlight());
	}

	async #until(isTrue: () => boolean): Promise<void> {
		const watch = this.#watch();
		while (!isTrue()) {
			watch();
			await pause(1);
		}
		watch();
	}

	/** Gives a function that throws if a failure was told, or if nothing comes any more. */
	#watch(): () => void {
		let [deliveries, ms] = [-1, 0];
		return () => {
			const { traffic } = this;
			if (traffic.failure !== undefined) throw traffic.failure;
			const now = performance.now();
			if (traffic.deliveries !== deliveries) [deliveries, ms] = [traffic.deliveries, now];
			else if (now - ms > patienceMs) this.#lost();
		};
	}

	/** Throws what the judgement says, or else how much is missing. */
	#lost(): never {
		const { orders, onTheirWay } = this.traffic;
		for (const order of orders) order.judge();
		throw new Error(`lost: ${onTheirWay} bytes have not come for ${patienceMs} ms, or visitors cannot leave`);
	}

	/** Has all clients leave, and judges what they got. */
	async end(): Promise<void> {
		const { posters, operators, orders } = this.traffic;
		await Promise.all(this.#stayers.map((client) => client.leave('close')));
		for (const some of [...posters, ...operators]) some.end();
		if (this.traffic.failure !== undefined) throw this.traffic.failure;
		for (const order of orders) order.judge();
	}

	#step(): void {
		const { random, orders } = this.traffic;
		const order = this.traffic.one(random.below(4) === 0 ? orders.slice(0, hotChannels) : orders);
		const publisher = random.below(publishers.operator + 1);
		if (order.inFlight(publisher) === 0) this.#publish(order, publisher, 1 + random.below(burstMax));
	}

	/** A publisher of a channel sends a burst; by POST it is one message. */
	#publish(order: Order, publisher: number, burst: number): void {
		const { traffic } = this;
		if (publisher === publishers.post || publisher === publishers.operator) {
			const { payload, shape } = traffic.write(order, publisher);
			const posters = publisher === publishers.post ? traffic.posters : traffic.operators;
			void traffic.one(posters).publish(order.path, payload, shape.isBinary);
			return;
		}
		const client = (publisher === publishers.websocket ? this.#websockets : this.#groups).get(order) as Client;
		const { socket } = client.connection;
		// One write, so that the server has them in one read.
		socket.cork();
		for (let nth = 0; nth < burst; nth++) {
			const { payload, shape } = traffic.write(order, publisher);
			client.publish(order, payload, shape.isBinary);
		}
		socket.uncork();
	}
}
