// Several nodes under load, by websocket, POST and event streams, and the judgement of what each subscriber got: a gapless piece of the one
// order of its channel, or an end. Clients that are closed or refused come again, as those of the real world do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { TestContext } from 'node:test';
import WebSocket from 'ws';
import { acceptsStream, EventParser } from '../../support/event-stream.js';
import { post } from '../../support/http.js';
import type { TestServer } from '../../support/server.js';
import { Order, type Seat } from './judge.js';

// A client that was refused comes again after this time, not in the next turn: it would keep the core busy.
const returnMs = 25;
/** How many messages of a websocket may be on their way. */
const windowMax = 4;

export class Load {
	/** By path. */
	readonly orders = new Map<string, Order>();
	readonly #nodes: readonly TestServer[];
	readonly #running: Promise<void>[] = [];
	#isOver = false;
	#wake: (() => void)[] = [];

	/** Each path has at each node a websocket that sends, and an event stream; POSTs go to one node after another. */
	constructor(t: TestContext, nodes: readonly TestServer[], paths: readonly string[]) {
		this.#nodes = nodes;
		for (const path of paths) {
			const order = new Order(path);
			this.orders.set(path, order);
			for (const node of nodes) {
				this.#run(this.#repeat(() => this.#speak(node, order)));
				this.#run(this.#repeat(() => this.#listen(node, order)));
			}
			this.#run(this.#publish(order));
		}
		t.after(() => this.#stop());
	}

	order(path: string): Order {
		return this.orders.get(path) as Order;
	}

	/** Resolves when each of these channels has its subscribers at all nodes, each of which has since got this many messages. */
	async flows(paths: readonly string[] = [...this.orders.keys()], messages = 5): Promise<void> {
		const seatsMin = this.#nodes.length * 2;
		const sinceMs = performance.now();
		const isFlowing = (order: Order) => {
			const open = order.seats.filter((seat) => seat.endMs === undefined && seat.countSince(sinceMs) >= messages);
			return open.length >= seatsMin;
		};
		while (!paths.every((path) => isFlowing(this.order(path)))) await this.#change();
	}

	/** Resolves when each subscription of these channels that was open at that time has ended. */
	async ends(paths: readonly string[], openMs: number): Promise<void> {
		const isOver = (order: Order) => order.seats.every((seat) => seat.openMs > openMs || seat.endMs !== undefined);
		while (!paths.every((path) => isOver(this.order(path)))) await this.#change();
	}

	/** Throws if a subscription of these channels has ended since. */
	untouched(paths: readonly string[], sinceMs: number): void {
		for (const path of paths) {
			for (const { end, endMs = 0 } of this.order(path).seats)
				assert.ok(endMs < sinceMs, `${path}: a subscriber ended with ${end} ${endMs - sinceMs} ms after`);
		}
	}

	/** Ends the load, and judges it. Gives what was seen, in words. */
	async judge(): Promise<string> {
		const ms = performance.now();
		this.#stop();
		await Promise.all(this.#running);
		let deliveries = 0;
		let pieces = 0;
		let closed = 0;
		for (const order of this.orders.values()) {
			for (const seat of order.seats) {
				deliveries += seat.texts.length;
				pieces++;
				if (seat.endMs === undefined || seat.endMs >= ms) continue;
				closed++;
				assert.ok(
					['1012', 'ended'].includes(seat.end),
					`${order.path}: a subscriber ended with ${seat.end}, after ${seat.texts.length} messages`,
				);
			}
			order.judge();
		}
		return `${deliveries} deliveries in ${pieces} gapless pieces; ${closed} connections closed by the nodes.`;
	}

	/** `judge` throws what this throws. */
	#run(client: Promise<void>): void {
		client.catch(() => {});
		this.#running.push(client);
	}

	#stop(): void {
		this.#isOver = true;
		for (const order of this.orders.values()) for (const seat of order.seats) seat.leave();
		this.#changed();
	}

	async #repeat(act: () => Promise<boolean>): Promise<void> {
		while (!this.#isOver) {
			if (!(await act())) await new Promise((resolve) => setTimeout(resolve, returnMs));
		}
	}

	/** One websocket, from its opening to its end. Gives whether it was let in. */
	async #speak(node: TestServer, order: Order): Promise<boolean> {
		const ws = new WebSocket(node.ws(order.path));
		ws.on('error', () => {});
		ws.on('unexpected-response', (_request, { statusCode }) => {
			order.refusals.add(String(statusCode));
			ws.terminate();
		});
		let seat: Seat | undefined;
		const sender = order.newSender();
		let sent = 0;
		let back = 0;
		const send = () => {
			while (ws.readyState === WebSocket.OPEN && sent - back < windowMax) {
				ws.send(order.sent(sender, sent++));
			}
		};
		ws.on('open', () => {
			seat = order.seat(() => ws.terminate());
			if (this.#isOver) ws.terminate();
			else send();
		});
		ws.on('message', (data: Buffer) => {
			const text = data.toString();
			seat?.got(text);
			if (text.startsWith(`${sender} `)) {
				back++;
				// In a later turn: other clients have theirs meanwhile.
				setImmediate(send);
			}
			this.#changed();
		});
		const code = await new Promise((resolve) => ws.on('close', resolve));
		seat?.ended(String(code));
		this.#changed();
		return seat !== undefined;
	}

	/** One event stream. */
	async #listen(node: TestServer, order: Order): Promise<boolean> {
		const request = get({ host: '127.0.0.1', port: node.port, path: order.path, agent: false, headers: acceptsStream });
		const [response] = (await once(request, 'response')) as [IncomingMessage];
		request.on('error', () => {});
		if (response.statusCode !== 200) {
			order.refusals.add(`${response.statusCode}`);
			response.resume();
			return false;
		}
		const seat = order.seat(() => request.destroy());
		if (this.#isOver) request.destroy();
		const parser = new EventParser(({ type, data }) => {
			if (type === 'message') seat.got(data);
		});
		response.on('data', (bytes) => {
			parser.feed(bytes);
			this.#changed();
		});
		response.on('error', () => {});
		await new Promise((resolve) => response.on('close', resolve));
		seat.ended(response.complete ? 'ended' : 'cut');
		this.#changed();
		return true;
	}

	/** Publishes by POST, one after another, each at the next node. */
	async #publish(order: Order): Promise<void> {
		let sender = order.newSender();
		let next = 0;
		for (let turn = 0; !this.#isOver; turn++) {
			const node = this.#nodes[turn % this.#nodes.length] as TestServer;
			const text = order.sent(sender, next);
			const { status } = await post(node.port, order.path, text);
			if (status === 200) {
				order.accepted(text);
				next++;
				continue;
			}
			order.refusals.add(`${status}`);
			// 503: it was not published, and 502: perhaps.
			if (status === 503) order.unsent(text);
			sender = order.newSender();
			next = 0;
			await new Promise((resolve) => setTimeout(resolve, returnMs));
		}
	}

	#changed(): void {
		for (const wake of this.#wake.splice(0)) wake();
	}

	#change(): Promise<void> {
		return new Promise((resolve) => this.#wake.push(resolve));
	}
}
