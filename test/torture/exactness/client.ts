// A subscriber of any kind on a raw socket: it notes what it gets of each channel, publishes, and leaves in one of several ways.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type Connection, subscribe } from '#bench/load/connection.js';
import { dialects } from '#bench/load/dialect.js';
import type { Target } from '#bench/load/job.js';
import { opcodes } from '../../support/opcodes.js';
import type { Random } from '../../support/random.js';
import { close, frame, half, messageFrames, pong } from './frames.js';
import { publisherOf } from './messages.js';
import type { Order, Piece } from './order.js';
import { EventReader, FrameReader } from './reading.js';

export type Kind = 'websocket' | 'event-stream' | 'groups';
/** How a client leaves: by a close frame and its answer, at the end of a stream, by a reset, or by a reset amid a frame. */
type Manner = 'close' | 'end' | 'reset' | 'amid';
export const manners: readonly Manner[] = ['close', 'end', 'reset', 'amid'];

/** The random choices of a test, and the callbacks for its clients. */
export type World = {
	readonly random: Random;
	/** Hears of each message that a client got and that is as it was sent. */
	onDelivery(client: Client, order: Order, bytes: number): void;
	/** Hears of the first thing that is wrong. */
	fail(error: Error): void;
};

/** Opens a client that is subscribed to these channels, of which only a client of groups may have more than one. */
export async function openClient(
	world: World,
	target: Target,
	kind: Kind,
	orders: readonly Order[],
	{ stays = false, query = '' } = {},
): Promise<Client> {
	const [first] = orders as [Order];
	const asked = first.clock.next();
	const dialect = dialects[kind];
	const request: typeof dialect.request = (to, path) => dialect.request(to, path + query);
	const connection = await subscribe(target, { ...dialect, request }, ...orders.map(({ path }) => path));
	const client = new Client(world, connection, kind, stays);
	for (const order of orders) client.joins(order, asked);
	client.start();
	return client;
}

export class Client {
	readonly pieces = new Map<string, { readonly order: Order; readonly piece: Piece }>();
	/** How it ended: the code of the close frame of the server, or `gone`. */
	readonly ended: Promise<string>;
	/** Whether the server may end it. */
	mayBeEnded = false;
	messages = 0;
	#isLeaving = false;
	#isDeaf = false;
	#code = '';
	#waiting: { readonly isTrue: () => boolean; readonly resolve: () => void } | undefined;
	readonly #read: (bytes: Buffer) => void;
	/** Answers to changes, by their heads, in order. */
	readonly #onAnswers: ((head: ReadonlyMap<string, string>) => void)[] = [];

	constructor(
		readonly world: World,
		readonly connection: Connection,
		readonly kind: Kind,
		readonly stays: boolean,
	) {
		const events = new EventReader((payload, isBinary) => this.#take(undefined, payload, isBinary));
		const frames = new FrameReader((opcode, payload) => this.#takeFrame(opcode, payload));
		const reader = kind === 'event-stream' ? events : frames;
		this.#read = (bytes) => {
			try {
				if (!this.#isDeaf) reader.read(bytes);
			} catch (error) {
				this.#isDeaf = true;
				world.fail(error as Error);
				this.#waiting?.resolve();
			}
		};
		this.ended = new Promise((resolve) => {
			connection.onGone = (why) => {
				const how = this.#code === '' ? 'gone' : this.#code;
				if (!this.#isLeaving && !this.mayBeEnded) world.fail(new Error(`a ${kind} was ended: ${how}, ${why}`));
				this.#waiting?.resolve();
				connection.socket.destroy();
				resolve(how);
			};
		});
	}

	start(): void {
		const { connection } = this;
		connection.onBytes = this.#read;
		if (connection.early.length > 0) this.#read(connection.early);
	}

	joins(order: Order, asked: number): void {
		this.pieces.set(order.path, { order, piece: order.subscribed(`a ${this.kind}`, asked, this.stays) });
	}

	/** How many messages of a publisher it has got. */
	got({ path }: Order, publisher: number): number {
		return this.pieces.get(path)?.piece.tokens.filter((token) => publisherOf(token) === publisher).length ?? 0;
	}

	/** Adds or removes channels of a client of groups. Resolves when the server has answered. */
	change(command: 'add' | 'remove', orders: readonly Order[]): Promise<void> {
		const [{ clock }] = orders as [Order];
		const asked = clock.next();
		const paths = orders.map(({ path }) => path).join(' ');
		this.connection.socket.write(frame(this.world.random, 0x81, Buffer.from(`${command}: ${paths}`)));
		return new Promise((resolve) => {
			this.#onAnswers.push((head) => {
				assert.equal(head.get(command === 'add' ? 'joined' : 'left'), paths, `the answer to ${command}: ${paths}`);
				for (const order of orders)
					if (command === 'add') this.joins(order, asked);
					else this.pieces.delete(order.path);
				resolve();
			});
		});
	}

	publish(order: Order, payload: Buffer, isBinary: boolean): void {
		const head = Buffer.from(this.kind === 'groups' ? `publish: ${order.path}\n\n` : '');
		this.connection.socket.write(messageFrames(this.world.random, Buffer.concat([head, payload]), isBinary));
	}

	/** Resolves when `isTrue` holds after a message, or when the connection has ended. Only one call may wait at a time. */
	until(isTrue: () => boolean): Promise<void> {
		return new Promise((resolve) => {
			if (isTrue() || this.#isLeaving) resolve();
			else this.#waiting = { isTrue, resolve };
		});
	}

	stopReading(): void {
		this.connection.socket.pause();
	}

	goOn(): void {
		this.connection.socket.resume();
	}

	/** Leaves, and resolves when the connection has ended. After a close, everything that came before the answer of the server counts. */
	async leave(manner: Manner): Promise<void> {
		const { socket } = this.connection;
		const { random } = this.world;
		const [first] = this.pieces.values();
		this.#isLeaving = true;
		this.#waiting?.resolve();
		if (this.kind !== 'event-stream' && manner === 'close') {
			socket.write(close(random));
			assert.equal(await this.ended, '1000', `a ${this.kind} has closed`);
			return;
		}
		this.#isDeaf = true;
		if (manner === 'amid' && first !== undefined)
			await new Promise<void>((resolve) => socket.write(half(random, first.order.unsent()), () => resolve()));
		if (manner === 'end' || manner === 'close') socket.end();
		else reset(socket);
		await this.ended;
	}

	#takeFrame(opcode: number, payload: Buffer): void {
		const { socket } = this.connection;
		if (this.#code !== '') throw new Error(`a frame after the close frame of a ${this.kind}`);
		if (opcode === opcodes.ping) socket.write(pong(this.world.random, Buffer.from(payload)));
		else if (opcode === opcodes.close) {
			this.#code = payload.length < 2 ? 'no code' : String(payload.readUInt16BE(0));
			socket.end();
		} else if (opcode !== opcodes.pong) {
			if (this.kind === 'groups') this.#takeGroupsFrame(payload, opcode === opcodes.binary);
			else this.#take(undefined, payload, opcode === opcodes.binary);
		}
	}

	/** A head, a blank line, and the message; or the answer to a change. */
	#takeGroupsFrame(bytes: Buffer, isBinary: boolean): void {
		const end = bytes.indexOf('\n\n');
		const head = new Map(
			bytes
				.toString('utf8', 0, end)
				.split('\n')
				.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const),
		);
		const channel = head.get('channel');
		if (channel !== undefined || head.has('session')) this.#take(channel, bytes.subarray(end + 2), isBinary);
		else {
			const onAnswer = this.#onAnswers.shift() ?? assert.fail(`an answer to nothing: ${JSON.stringify([...head])}`);
			onAnswer(head);
		}
	}

	/** Takes a message. Without a channel from the server, it is of the client's only channel, or of the channel that the message names. */
	#take(channel: string | undefined, payload: Buffer, isBinary: boolean): void {
		const found = channel === undefined ? this.#subscriptionOf(payload) : this.pieces.get(channel);
		const { order, piece } = found ?? assert.fail(`a message of ${channel ?? payload.subarray(0, 20)}, where the client is not`);
		order.take(piece, payload, isBinary);
		this.messages++;
		this.world.onDelivery(this, order, payload.length);
		if (this.#waiting?.isTrue()) this.#waiting.resolve();
	}

	#subscriptionOf(payload: Buffer): { readonly order: Order; readonly piece: Piece } | undefined {
		if (this.pieces.size === 1) return this.pieces.values().next().value;
		const index = Number(payload.toString('latin1', 0, 4));
		return [...this.pieces.values()].find(({ order }) => order.index === index);
	}
}

/** Resets a connection; one over TLS is only closed without a word. */
export function reset(socket: Socket): void {
	if (socket instanceof TLSSocket) socket.destroy();
	else socket.resetAndDestroy();
}
