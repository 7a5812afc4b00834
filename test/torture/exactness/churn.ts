// Visitors: connections of all kinds that come and go, on the channels of a load and on channels of their own.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { openSocket } from '#bench/load/connection.js';
import { type Client, type Kind, manners, openClient, reset } from './client.js';
import { channelsMax } from './messages.js';
import type { Order } from './order.js';
import { requestOf } from './posters.js';
import { publishers, type Traffic } from './traffic.js';

/** At once. A server that does not get on with them gets no more. */
const visitorsMax = 256;
/** A visitor that waits for a few messages does not wait longer. */
const stayMsMax = 250;
const messagesMax = 4;
const lastChunkBytes = 5;
const kinds: readonly Kind[] = ['websocket', 'websocket', 'event-stream', 'groups'];

export class Churn {
	connects = 0;
	seconds = 0;
	ownChannels = 0;
	readonly #traffic: Traffic;
	readonly #visits: ((order: Order) => Promise<void>)[];
	readonly #open = new Set<Promise<void>>();
	/** The channels on which a visitor publishes, by its publisher. */
	readonly #taken = new Set<string>();
	#startMs = 0;

	constructor(traffic: Traffic) {
		this.#traffic = traffic;
		const read = (order: Order) => this.#read(order);
		this.#visits = [
			read,
			read,
			read,
			(order) => this.#publish(order),
			(order) => this.#post(order),
			(order) => this.#breakOff(order),
		];
	}

	start(): void {
		this.#startMs = performance.now();
	}

	/** Has visitors come if more are due. Gives whether more are due still. */
	comeIfDue(): boolean {
		const { connectsPerSecond } = this.#traffic.settings;
		const isDue = () => this.connects < ((performance.now() - this.#startMs) / 1_000) * connectsPerSecond;
		for (let i = 0; i < 32 && isDue() && this.#open.size < visitorsMax; i++) this.#come();
		return isDue();
	}

	/** No more come. */
	stop(): void {
		this.seconds = (performance.now() - this.#startMs) / 1_000;
	}

	/** Whether all have left. */
	get isOver(): boolean {
		return this.#open.size === 0;
	}

	#come(): void {
		const { random, orders, settings } = this.#traffic;
		this.connects++;
		const visit =
			random.below(100) < settings.ownChannels ? this.#visitOwn() : this.#traffic.one(this.#visits)(this.#traffic.one(orders));
		const guarded = visit.catch((error) => this.#traffic.fail(error)).finally(() => this.#open.delete(guarded));
		this.#open.add(guarded);
	}

	#enter(kind: Kind, orders: readonly Order[]): Promise<Client> {
		return openClient(this.#traffic, this.#traffic.node(this.connects).target, kind, orders);
	}

	/** A visitor that reads a few messages; one with groups changes its channels meanwhile. */
	async #read(order: Order): Promise<void> {
		const { random, orders } = this.#traffic;
		const kind = this.#traffic.one(kinds);
		const others = kind === 'groups' ? this.#some(order) : [];
		const client = await this.#enter(kind, [order, ...others]);
		const more = kind === 'groups' ? orders.find((other) => other !== order && !others.includes(other)) : undefined;
		const changed = Promise.all([
			...(more === undefined ? [] : [client.change('add', [more])]),
			...(others.length === 0 ? [] : [client.change('remove', others)]),
		]);
		const wanted = client.messages + random.below(messagesMax);
		await Promise.race([client.until(() => client.messages >= wanted), pause(stayMsMax, undefined, { ref: false })]);
		if (random.below(2) === 0) await changed;
		else changed.catch((error) => this.#traffic.fail(error));
		await client.leave(this.#traffic.one(manners));
	}

	/** Up to three other channels. */
	#some(order: Order): Order[] {
		const some = Array.from({ length: this.#traffic.random.below(4) }, () => this.#traffic.one(this.#traffic.orders));
		return [...new Set(some)].filter((other) => other !== order);
	}

	/** A visitor that publishes, and waits until it has its own messages back. */
	async #publish(order: Order): Promise<void> {
		if (!this.#take(order, publishers.visitor)) return this.#read(order);
		const client = await this.#enter(this.#traffic.one(['websocket', 'groups'] as const), [order]);
		await this.#sendAll(client, order, publishers.visitor);
		this.#release(order, publishers.visitor);
		await client.leave(this.#traffic.one(manners));
	}

	async #sendAll(client: Client, order: Order, publisher: number): Promise<void> {
		const traffic = this.#traffic;
		const count = 1 + traffic.random.below(messagesMax);
		for (let nth = 0; nth < count; nth++) {
			const { payload, shape } = traffic.write(order, publisher);
			if (client.kind === 'event-stream') await traffic.one(traffic.posters).publish(order.path, payload, shape.isBinary);
			else client.publish(order, payload, shape.isBinary);
		}
		await client.until(() => client.got(order, publisher) >= count);
	}

	/** One POST, on a connection of its own. */
	async #post(order: Order): Promise<void> {
		if (!this.#take(order, publishers.visitingPost)) return this.#breakOff(order);
		const { payload, shape } = this.#traffic.write(order, publishers.visitingPost);
		let answer = '';
		const socket = openSocket(this.#traffic.node(this.connects).target, (bytes) => {
			answer += bytes.toString('latin1');
		});
		socket.write(requestOf(this.#traffic.random, 'POST', order.path, payload, shape.isBinary, 'Connection: close\r\n'));
		socket.on('error', () => {});
		await new Promise((resolve) => socket.on('close', resolve));
		assert.match(answer, /^HTTP\/1\.1 200 /, `a POST to ${order.path}`);
		this.#release(order, publishers.visitingPost);
	}

	/** A connection that ends amid a handshake, or amid the body of a POST. */
	async #breakOff(order: Order): Promise<void> {
		const { random } = this.#traffic;
		const bytes =
			random.below(2) === 0
				? Buffer.from(`GET ${order.path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSo`)
				: requestOf(random, 'POST', order.path, order.unsent(), false);
		const socket = openSocket(this.#traffic.node(this.connects).target, () => {});
		socket.on('error', () => {});
		const closed = new Promise((resolve) => socket.on('close', resolve));
		// Before the last chunk: with its size, a body is whole (RFC 9112, section 8).
		const cut = 20 + random.below(bytes.length - 20 - lastChunkBytes);
		await new Promise<void>((resolve) => socket.write(bytes.subarray(0, cut), () => resolve()));
		if (random.below(2) === 0) reset(socket);
		else socket.destroy();
		await closed;
	}

	/** A visitor on a channel of its own, which it opens and closes. */
	async #visitOwn(): Promise<void> {
		const { settings } = this.#traffic;
		const own = this.ownChannels++;
		const order = this.#traffic.newOrder(settings.channels + (own % (channelsMax - settings.channels)), `/own/${own}`);
		const client = await this.#enter(this.#traffic.one(kinds), [order]);
		await this.#sendAll(client, order, publishers.visitor);
		await client.leave(this.#traffic.one(manners));
		order.judge();
	}

	/** Whether no other visitor publishes there: the messages of a publisher have one order. */
	#take(order: Order, publisher: number): boolean {
		const key = `${order.index} ${publisher}`;
		if (this.#taken.has(key) || order.inFlight(publisher) > 0) return false;
		this.#taken.add(key);
		return true;
	}

	#release(order: Order, publisher: number): void {
		this.#taken.delete(`${order.index} ${publisher}`);
	}
}
