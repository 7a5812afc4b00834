// A subscriber that connects again whenever its connection ends, and keeps account of what it heard on which.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Subscriber } from '../../support/subscriber.js';
import { subscribeOver } from './clients.js';

export class Connection {
	/** Numbers of messages, in the order in which they came. */
	readonly heard: number[] = [];
	/** Numbers of messages that were answered with 200, and after which the server still answered a ping on this connection. */
	readonly owed: number[] = [];
	/** Numbers of messages that were answered with 200, and of which this connection may have ended before they came. */
	#answered: number[] = [];

	constructor(
		readonly subscriber: Subscriber,
		readonly onOwed: () => void,
	) {
		subscriber.ws.on('message', (data) => this.#hear(Number(data)));
	}

	/**
	 * Call when a message that was published during this connection was answered by any node: with a relay, a pong may overtake it. If a
	 * later message is heard here, or `owes` is called, it was due here.
	 */
	answered(message: number): void {
		this.#answered.push(message);
	}

	/** Call before a node is told to stop: everything that was answered by then is due on its connections. */
	owes(below = Number.POSITIVE_INFINITY): void {
		this.owed.push(...this.#answered.filter((message) => message < below));
		this.#answered = this.#answered.filter((message) => message >= below);
	}

	#hear(message: number): void {
		this.heard.push(message);
		this.owes(message);
		this.onOwed();
	}

	/** Call when a message was published during this connection: if a ping that is sent now is answered, it was due here. */
	async published(message: number): Promise<void> {
		const { ws, closed } = this.subscriber;
		if (ws.readyState !== ws.OPEN) return;
		const pong = once(ws, 'pong').then(() => {
			this.owed.push(message);
			this.onOwed();
		});
		ws.ping();
		await Promise.race([pong, closed]);
	}
}

export class ReturningSubscriber {
	readonly connections: Connection[] = [];
	/** The open one, if there is one. */
	current: Connection | undefined;
	/** Why it was not let in, each time. */
	readonly refusals: string[] = [];
	#isLeaving = false;
	#wake: () => void = () => {};

	constructor(
		readonly t: TestContext,
		readonly port: number,
		readonly path: string,
	) {
		t.after(() => this.leave());
		void this.#comeAndGo();
	}

	/** Resolves when it is subscribed. */
	isThere(): Promise<void> {
		return this.#until(() => this.current !== undefined);
	}

	/** Resolves when something was published during its connection of that number, from 1, or a later one. */
	isServedBy(nth: number): Promise<void> {
		return this.#until(() => this.connections.length >= nth && (this.current?.owed.length ?? 0) > 0);
	}

	/** Resolves when something was due on the connection that it has. */
	isServed(): Promise<void> {
		return this.#until(() => this.current !== undefined && this.current.owed.length > 0);
	}

	/** Resolves when this message is the last that its connection has heard. */
	hears(message: number): Promise<void> {
		return this.#until(() => this.current?.heard.at(-1) === message);
	}

	async leave(): Promise<void> {
		this.#isLeaving = true;
		await this.current?.subscriber.close();
	}

	/** It heard all that was due, in order and once. */
	check(): void {
		const heard = this.connections.flatMap((connection) => connection.heard);
		for (const [i, message] of heard.entries()) assert.ok(i === 0 || message > (heard[i - 1] ?? 0), `${this.path}: ${heard}`);
		for (const { heard, owed } of this.connections) {
			const missed = owed.filter((message) => !heard.includes(message));
			assert.deepEqual(missed, [], `${this.path} missed some of ${owed.length}`);
		}
	}

	async #until(isSo: () => boolean): Promise<void> {
		while (!isSo()) {
			await new Promise<void>((resolve) => {
				this.#wake = resolve;
			});
		}
	}

	async #comeAndGo(): Promise<void> {
		while (!this.#isLeaving) {
			try {
				const subscriber = await subscribeOver(this.t, this.port, this.path);
				const connection = new Connection(subscriber, () => this.#wake());
				this.connections.push(connection);
				this.current = connection;
				this.#wake();
				await subscriber.closed;
				this.current = undefined;
			} catch (error) {
				this.refusals.push(String(error));
				// As a client does, it tries again in a moment.
				await setTimeout(10 + Math.random() * 20);
			}
		}
	}
}
