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

	constructor(
		readonly subscriber: Subscriber,
		readonly onOwed: () => void,
	) {
		subscriber.ws.on('message', (data) => this.heard.push(Number(data)));
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
			} catch {
				// Refused: as a client does, it tries again in a moment.
				await setTimeout(10 + Math.random() * 20);
			}
		}
	}
}
