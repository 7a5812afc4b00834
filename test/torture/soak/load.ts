// A mixed load of a server for as long as a soak takes: clients of each kind that come and go, numbered messages of every size by websocket
// and POST, and from time to time what harms other servers.
import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import WebSocket from 'ws';
import type { Ports } from '../../deploy/support/nodes.js';
import { type Connect, type Connection, viaEventStream, viaWebSocket } from '../../relay/support/connections.js';
import { groupsProtocol } from '../../support/groups.js';
import { post } from '../../support/http.js';
import type { Random } from '../../support/random.js';
import { misdeeds } from './misdeeds.js';

const channels = 40;
const clients = 200;
/** A client stays for this time on average, and comes again at once: 100 come and go each second. */
const stayMs = 2_000;
/** Between two messages of a channel. */
const messageMs = 400;
const misdeedMs = 500;
const bytesMax = 16_384;

/** A websocket with --groups, which has one channel here. */
const viaGroups: Connect = (port, channel, { onOpen, onMessage, onClosed }) => {
	const ws = new WebSocket(`ws://127.0.0.1:${port}${channel}`, groupsProtocol);
	ws.on('open', onOpen);
	// Only messages come, because the client makes no changes.
	ws.on('message', (data: Buffer) => onMessage(Number.parseInt(data.toString('latin1', data.indexOf('\n\n') + 2), 10)));
	ws.on('error', () => {});
	ws.on('close', (code, reason) => onClosed(`${code} ${reason}`));
	return { send: (text) => ws.send(`publish: ${channel}\n\n${text}`), end: () => ws.close() };
};

const kinds = [viaWebSocket, viaWebSocket, viaEventStream, viaGroups] as const;

export class Load {
	messages = 0;
	deliveries = 0;
	connections = 0;
	misdeeds = 0;
	readonly #servers: readonly Ports[];
	readonly #random: Random;
	readonly #running: Promise<void>[];
	/** By channel: the connections that are open and can publish. */
	readonly #publishers = new Map<string, Set<Connection>>();
	/** By channel: the number of the next message, and of the last one that the server has taken. */
	readonly #numbers = new Map<string, { next: number; taken: number }>();
	/** The messages that have not come back to the connection that sent them. */
	readonly #sending = new Map<
		Connection,
		{ readonly message: number; readonly isBack: () => void; readonly back: Promise<void> }
	>();
	#failure: Error | undefined;
	readonly #over = new AbortController();

	constructor(servers: readonly Ports[], random: Random) {
		this.#servers = servers;
		this.#random = random;
		// Each client that rests listens for the end.
		setMaxListeners(0, this.#over.signal);
		this.#running = [
			...Array.from({ length: clients }, () => this.#comeAndGo()),
			...Array.from({ length: channels }, (_, nth) => this.#publish(`/soak/${nth}`)),
			this.#misbehave(),
		];
		for (const running of this.#running) running.catch((error) => this.#fail(error));
	}

	/** Resolves after that time; rejects as soon as something is wrong. */
	async run(ms: number): Promise<void> {
		await pause(ms, undefined, { signal: this.#over.signal }).catch(() => {});
		if (this.#failure !== undefined) throw this.#failure;
	}

	/** Has all clients leave. */
	async end(): Promise<void> {
		this.#over.abort();
		await Promise.allSettled(this.#running);
		if (this.#failure !== undefined) throw this.#failure;
	}

	#fail(error: Error): void {
		this.#failure ??= error;
		this.#over.abort();
	}

	get #isOver(): boolean {
		return this.#over.signal.aborted;
	}

	/** Resolves after some time, the end of the load at the latest. */
	async #rest(ms: number): Promise<void> {
		await pause(ms, undefined, { signal: this.#over.signal }).catch(() => {});
	}

	#one<Item>(items: readonly Item[]): Item {
		return items[this.#random.below(items.length)] as Item;
	}

	/** Opens clients one after another, until the load is over. */
	async #comeAndGo(): Promise<void> {
		while (!this.#isOver)
			await this.#stay(this.#one(kinds), this.#one(this.#servers).port, `/soak/${this.#random.below(channels)}`);
	}

	/**
	 * Opens a client, which must get consecutive numbers: from the first message that is published after it has opened, to the last that is
	 * taken before it leaves. Resolves when it has left.
	 */
	async #stay(connectTo: Connect, port: number, channel: string): Promise<void> {
		const publishers = this.#publishersOf(channel);
		const numbers = this.#numbersOf(channel);
		let first = Number.POSITIVE_INFINITY;
		let last: number | undefined;
		let isLeaving = false;
		let heard: () => void = () => {};
		let opened: () => void = () => {};
		const isOpen = new Promise<void>((resolve) => {
			opened = resolve;
		});
		let connection: Connection | undefined;
		const ended = new Promise<void>((resolve, reject) => {
			const own = connectTo(port, channel, {
				onOpen: () => {
					this.connections++;
					first = numbers.next;
					if (own.send !== undefined) publishers.add(own);
					opened();
				},
				onMessage: (message) => {
					const isNext = last === undefined ? message <= first : message === last + 1;
					if (!isNext) reject(new Error(`${channel}: ${message} came after ${last ?? `an opening before ${first}`}`));
					last = message;
					heard();
					this.deliveries++;
					const sending = this.#sending.get(own);
					if (sending?.message === message) sending.isBack();
				},
				onClosed: (how) => {
					publishers.delete(own);
					if (isLeaving) resolve();
					else reject(new Error(`${channel}: a client was closed with ${how}`));
				},
			});
			connection = own;
		});
		await Promise.race([isOpen, ended]);
		await Promise.race([this.#rest(this.#random.below(2 * stayMs)), ended]);
		if (connection !== undefined) {
			publishers.delete(connection);
			await this.#sending.get(connection)?.back;
			const due = numbers.taken;
			while (due >= first && (last ?? -1) < due) {
				const next = new Promise<void>((resolve) => {
					heard = resolve;
				});
				await Promise.race([next, ended]);
			}
			isLeaving = true;
			connection.end();
		}
		await ended;
	}

	#numbersOf(channel: string): { next: number; taken: number } {
		const numbers = this.#numbers.get(channel) ?? { next: 0, taken: -1 };
		this.#numbers.set(channel, numbers);
		return numbers;
	}

	#publishersOf(channel: string): Set<Connection> {
		const publishers = this.#publishers.get(channel) ?? new Set();
		this.#publishers.set(channel, publishers);
		return publishers;
	}

	/** Numbered messages, each after the one before is published: by POST, or by a websocket of the channel. */
	async #publish(channel: string): Promise<void> {
		const numbers = this.#numbersOf(channel);
		while (!this.#isOver) {
			const message = numbers.next++;
			// Most are short.
			const bytes = this.#random.below(bytesMax) >> this.#random.below(12);
			const text = `${message} `.padEnd(bytes, 'x');
			const [publisher] = this.#publishersOf(channel);
			this.messages++;
			if (publisher !== undefined && this.#random.below(2) === 0) await this.#send(publisher, message, text);
			else {
				const { status, body } = await post(this.#one(this.#servers).port, channel, text);
				assert.equal(status, 200, `a POST to ${channel}: ${body}`);
			}
			numbers.taken = message;
			await this.#rest(this.#random.below(2 * messageMs));
		}
	}

	/** Resolves when the message has come back: it has its place in the order of the channel. */
	async #send(publisher: Connection, message: number, text: string): Promise<void> {
		let isBack: () => void = () => {};
		const back = new Promise<void>((resolve) => {
			isBack = resolve;
		});
		this.#sending.set(publisher, { message, isBack, back });
		publisher.send?.(text);
		await back;
		this.#sending.delete(publisher);
	}

	async #misbehave(): Promise<void> {
		while (!this.#isOver) {
			await this.#one(misdeeds)(this.#one(this.#servers), this.misdeeds++);
			await this.#rest(this.#random.below(2 * misdeedMs));
		}
	}
}
