// A Redis, three nodes as processes, clients of each, and a load of messages that goes on whatever happens to them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import type { TestContext } from 'node:test';
import { freePort } from '../../support/free-port.js';
import type { Random } from '../../support/random.js';
import { type RedisProcess, startRedis } from '../../support/redis.js';
import { Client, type ClientParts } from './client.js';
import { type Connect, viaEventStream, viaRedis, viaWebSocket } from './connections.js';
import { Ledger } from './ledger.js';
import { Node } from './node.js';

const channels = ['/a', '/b', '/caf%C3%A9', '/d'];
/** A channel that only clients of the first node listen to, and without load. */
export const quietChannel = '/quiet';
const webSocketsPerChannel = 6;
// The others only listen.
const publishersPerChannel = 2;
const burstMax = 12;

export class World {
	readonly ledger = new Ledger();
	/** Those of each node. */
	readonly clients: readonly Client[][];
	readonly #references: readonly Client[];
	readonly #posting: Promise<void>[];
	/** Whether a node may be killed now. */
	mayKill = false;
	#isOver = false;
	/** The load rests when there are so many deliveries: a node that starts must get its share of the machine. */
	#deliveriesMax = 0;
	/** The POSTs that wait for the load to go on. */
	#resting: (() => void)[] = [];
	/** How many POSTs are on their way. */
	#posts = 0;

	private constructor(
		readonly redis: RedisProcess,
		readonly nodes: readonly Node[],
		readonly random: Random,
	) {
		this.clients = nodes.map((node, nth) => this.#clientsOf(node.port, nth));
		this.#references = [...channels, quietChannel].map((channel) =>
			this.#client(viaRedis, `the reference of ${channel}`, redis.port, channel, { burst: () => 0, isReference: true }),
		);
		this.#posting = nodes.map((node, nth) => this.#postAll(node.port, `the POSTs to node ${nth}`));
	}

	/** `relayOf` gives the `--relay` of a node, if that is not the address of Redis. */
	static async start(
		t: TestContext,
		random: Random,
		relayTimeout = '1s',
		relayOf: (redis: RedisProcess) => Promise<string> = async ({ url }) => url,
	): Promise<World> {
		const redis = await startRedis(t);
		const nodes: Node[] = [];
		for (let nth = 0; nth < 3; nth++) nodes.push(new Node(t, await freePort(), await relayOf(redis), relayTimeout));
		await Promise.all(nodes.map((node) => node.start()));
		const world = new World(redis, nodes, random);
		t.after(() => world.#end());
		await world.allConnected();
		return world;
	}

	get everyClient(): Client[] {
		return [...this.clients.flat(), ...this.#references];
	}

	/** How often the nodes have closed a connection for a gap. */
	get closed(): number {
		return this.clients.flat().reduce((sum, { closed }) => sum + closed, 0);
	}

	/** How often a connection was cut. */
	get cut(): number {
		return this.clients.flat().reduce((sum, { cut }) => sum + cut, 0);
	}

	allConnected(): Promise<void> {
		const missing = () => this.everyClient.filter(({ piece }) => piece === undefined);
		return this.ledger.until(
			'all clients are connected',
			() => missing().length === 0,
			() =>
				missing()
					.map(({ state }) => state)
					.join('; '),
		);
	}

	/** Waits until the clients of these nodes have been given up since the pieces were taken. */
	allOver(pieces: readonly { readonly isOver: boolean }[]): Promise<void> {
		return this.ledger.until('all connections are closed', () => pieces.every(({ isOver }) => isOver));
	}

	/** Lets the load run until the clients have got so many messages more, and go on until they have got as many again. */
	async run(deliveries: number): Promise<void> {
		const wanted = this.ledger.deliveries + deliveries;
		this.#deliveriesMax = wanted + deliveries;
		this.#goOn();
		for (const client of this.clients.flat()) client.publish();
		await this.ledger.until(`${deliveries} deliveries`, () => this.ledger.deliveries >= wanted);
	}

	/** Stops the load, and waits until all clients have got everything. */
	async pause(): Promise<void> {
		const { ledger } = this;
		this.#deliveriesMax = 0;
		await ledger.until(
			'the load ends',
			() => this.#posts === 0 && this.everyClient.every(({ isIdle }) => isIdle),
			() => `${this.#posts} POSTs, ${this.everyClient.filter(({ isIdle }) => !isIdle).map(({ state }) => state)}`,
		);
		await this.allConnected();
		const agent = new Agent();
		for (const channel of [...channels, quietChannel]) {
			const last = await this.#postUntilTaken(agent, channel);
			const own = this.everyClient.filter((client) => client.channel === channel);
			await ledger.until(`all clients have got the last message of ${channel}`, () =>
				own.every(({ piece }) => piece !== undefined && (piece.opened > last || piece.got.includes(last))),
			);
		}
	}

	get #isResting(): boolean {
		return this.#isOver || this.ledger.deliveries >= this.#deliveriesMax;
	}

	#goOn(): void {
		for (const goOn of this.#resting.splice(0)) goOn();
	}

	/** Publishes a message of that length past the nodes, and gives how many clients of Redis got it. */
	async publishPast(channel: string, bytes: number): Promise<number> {
		const message = this.ledger.publish(channel, 'redis');
		return (await this.redis.run('SPUBLISH', `pathcast:${channel}`, `${message} `.padEnd(bytes, 'x'))) as number;
	}

	#clientsOf(port: number, nth: number): Client[] {
		const clients: Client[] = [];
		const burst = () => (this.#isResting ? 0 : 1 + this.random.below(burstMax));
		for (const channel of channels) {
			for (let i = 0; i < webSocketsPerChannel; i++) {
				const mayBurst = i < publishersPerChannel ? burst : () => 0;
				clients.push(
					this.#client(viaWebSocket, `websocket ${i} of ${channel} on node ${nth}`, port, channel, { burst: mayBurst }),
				);
			}
			clients.push(this.#client(viaEventStream, `event stream of ${channel} on node ${nth}`, port, channel, { burst: () => 0 }));
		}
		if (nth === 0)
			clients.push(this.#client(viaWebSocket, 'websocket of the quiet channel', port, quietChannel, { burst: () => 0 }));
		return clients;
	}

	#client(
		connect: Connect,
		who: string,
		port: number,
		channel: string,
		rest: Pick<ClientParts, 'burst' | 'isReference'>,
	): Client {
		return new Client({ ledger: this.ledger, mayBeCut: () => this.mayKill, connect, who, port, channel, ...rest });
	}

	/** One POST after another. */
	async #postAll(port: number, who: string): Promise<void> {
		const agent = new Agent({ keepAlive: true, maxSockets: 1 });
		while (!this.#isOver) {
			if (this.#isResting) {
				await new Promise<void>((goOn) => this.#resting.push(goOn));
				continue;
			}
			const channel = channels[this.random.below(channels.length)] ?? assert.fail();
			this.#posts++;
			await this.#post(agent, port, channel, who);
			this.#posts--;
			this.ledger.changed();
		}
		agent.destroy();
	}

	/** Gives the number of the message if the answer was 200. */
	async #post(agent: Agent, port: number, channel: string, who: string): Promise<number | undefined> {
		const message = this.ledger.publish(channel, who);
		const posted = request({ host: '127.0.0.1', port, method: 'POST', path: channel, agent });
		posted.end(`${message} from ${who}`);
		try {
			const [response] = (await once(posted, 'response')) as [IncomingMessage];
			response.resume();
			await once(response, 'end');
			const { statusCode } = response;
			if (statusCode === 200) {
				this.ledger.confirm(message);
				return message;
			}
			if (statusCode !== 503 && statusCode !== 502) this.ledger.fail(new Error(`${who} were answered ${statusCode}`));
		} catch {
			// The node was killed.
		}
		return undefined;
	}

	async #postUntilTaken(agent: Agent, channel: string): Promise<number> {
		for (;;) {
			const message = await this.#post(agent, this.nodes[1]?.port ?? 0, channel, 'the last POST');
			if (message !== undefined) return message;
		}
	}

	async #end(): Promise<void> {
		this.#isOver = true;
		this.#goOn();
		for (const client of this.everyClient) client.end();
		for (const node of this.nodes) node.signal('SIGCONT');
		this.redis.signal('SIGCONT');
		await Promise.all(this.#posting);
	}
}
