// Stands between clients and a server, and does to their connections what a bad network does. It knows bytes only;
// test/support/gateway.ts decides by what a request says.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { type Random, seededRandom } from '../../support/random.js';

/** The treatment of the bytes of one direction, on every connection. It may be changed at any time. */
export class Way {
	/** The longest delay of a piece. Each delay is a random number of whole milliseconds. */
	delayMsMax = 0;
	/** Each read is passed on in pieces of at most so many bytes, one in each turn of the loop. */
	pieceBytesMax = Number.POSITIVE_INFINITY;
	/** After exactly so many bytes of a connection, both its ends are reset. */
	resetAfterBytes = Number.POSITIVE_INFINITY;
	/** Of all connections. */
	passedBytes = 0;
	#flowing = Promise.resolve();
	#resume = () => {};

	constructor(readonly random: Random) {}

	/** Passes nothing on and reads nothing more, until `resume`. */
	stall(): void {
		this.#resume();
		this.#flowing = new Promise((resolve) => {
			this.#resume = resolve;
		});
	}

	resume(): void {
		this.#resume();
	}

	/** Resolves at once, unless this way is stalled. */
	get flowing(): Promise<void> {
		return this.#flowing;
	}
}

type Pair = { readonly client: Socket; readonly server: Socket };

export class TcpRelay {
	readonly toServer: Way;
	readonly toClient: Way;
	readonly #pairs = new Set<Pair>();
	#listener: Server | undefined;
	#port = 0;

	constructor(
		readonly target: NetConnectOpts,
		random: Random,
	) {
		this.toServer = new Way(random);
		this.toClient = new Way(random);
	}

	get port(): number {
		return this.#port;
	}

	get connections(): number {
		return this.#pairs.size;
	}

	/** Accepts connections, on the same port as before if it has refused them. */
	async accept(): Promise<void> {
		this.#listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#relay(client));
		this.#listener.listen(this.#port, '127.0.0.1');
		await once(this.#listener, 'listening');
		this.#port = (this.#listener.address() as AddressInfo).port;
	}

	/** The system refuses new connections; the others stay. */
	refuse(): void {
		this.#listener?.close();
	}

	/** Sends a reset to both ends of all connections. */
	reset(): void {
		for (const pair of this.#pairs) resetBoth(pair);
	}

	/** Sends a FIN to the servers, or to the clients, of all connections. The other direction stays open. */
	halfClose(end: 'client' | 'server'): void {
		for (const pair of this.#pairs) pair[end].end();
	}

	#relay(client: Socket): void {
		const server = connect({ ...this.target, allowHalfOpen: true, noDelay: true });
		const pair = { client, server };
		this.#pairs.add(pair);
		for (const socket of [client, server]) {
			socket.on('error', () => resetBoth(pair));
			socket.on('close', () => {
				if (client.closed && server.closed) this.#pairs.delete(pair);
			});
		}
		void pump(client, server, this.toServer, () => resetBoth(pair));
		void pump(server, client, this.toClient, () => resetBoth(pair));
	}
}

/** Starts a relay before that server, and ends it after the test. */
export async function startRelay(t: TestContext, target: NetConnectOpts): Promise<TcpRelay> {
	const relay = new TcpRelay(target, seededRandom(t));
	await relay.accept();
	t.after(() => {
		relay.refuse();
		relay.reset();
	});
	return relay;
}

function resetBoth({ client, server }: Pair): void {
	for (const socket of [client, server]) {
		if (socket.destroyed) continue;
		// Node leaves a socket open for ever that is reset while its FIN is on the way.
		if (socket.writableEnded) socket.destroy();
		else socket.resetAndDestroy();
	}
}

/** Passes on what comes from one end until it ends. An error of either end has reset both already. */
async function pump(from: Socket, to: Socket, way: Way, reset: () => void): Promise<void> {
	let passedBytes = 0;
	try {
		for await (const data of from) {
			for (let rest = data as Buffer; rest.length > 0; ) {
				await way.flowing;
				if (way.delayMsMax > 0) await wait(way.random.below(way.delayMsMax + 1));
				else if (rest !== data) await turn();
				const piece = rest.subarray(0, Math.min(way.pieceBytesMax, way.resetAfterBytes - passedBytes));
				rest = rest.subarray(piece.length);
				passedBytes += piece.length;
				if (!(await written(to, piece))) return;
				way.passedBytes += piece.length;
				if (passedBytes >= way.resetAfterBytes) return reset();
			}
		}
		await way.flowing;
		to.end();
	} catch {}
}

/** Whether the system has taken the bytes; otherwise the connection has ended. */
function written(socket: Socket, bytes: Buffer): Promise<boolean> {
	return new Promise((resolve) => {
		const ended = () => resolve(false);
		socket.once('close', ended);
		socket.write(bytes, (error) => {
			socket.off('close', ended);
			resolve(error == null);
		});
		if (socket.destroyed) ended();
	});
}
