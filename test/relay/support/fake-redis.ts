// A server that speaks as much RESP3 as a node of pathcast asks for, and ends subscriptions when the test says so: a real server does it at
// moments that no test can choose.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

type Slots = readonly { readonly from: number; readonly to: number; readonly port: number }[];

export class FakeRedis {
	/** What CLUSTER SLOTS answers. */
	slots: Slots = [];
	/** Written before the answer to the next command of that name, in the same piece. */
	readonly before = new Map<string, string>();
	/** Written in place of the answers to the next commands of that name, or to the next messages (PUBLISH). */
	readonly instead = new Map<string, string[]>();
	/** Written after it. */
	readonly after = new Map<string, string>();
	/** The command from which on all answers wait for `release`. */
	holdsFrom: string | undefined;
	/** The commands so far: the name, and the first argument. */
	readonly commands: string[] = [];
	readonly #sockets = new Set<Socket>();
	#held: string[] | undefined;
	#wake: () => void = () => {};

	constructor(private readonly server: Server) {
		server.on('connection', (socket) => {
			this.#sockets.add(socket);
			socket.on('error', () => {});
			socket.on('close', () => this.#sockets.delete(socket));
			let unread = '';
			socket.on('data', (data) => {
				unread += data.toString('latin1');
				for (let command = readCommand(unread); command !== undefined; command = readCommand(unread)) {
					unread = unread.slice(command.length);
					const { args } = command;
					const [name = '', first = ''] = args;
					const upper = name.toUpperCase();
					// A node tries a quiet connection by the same command, without a message.
					const kind = upper === 'EVAL' && args.length > 3 ? 'PUBLISH' : upper;
					const answer = this.instead.get(kind)?.shift() ?? this.#answer(upper, first);
					const pieces = [this.#take(this.before, upper), answer, this.#take(this.after, upper)];
					if (upper === this.holdsFrom) this.#held ??= [];
					if (this.#held === undefined) socket.write(pieces.join(''), 'latin1');
					else this.#held.push(...pieces);
					this.commands.push(`${upper} ${first}`);
				}
				this.#wake();
			});
		});
	}

	get port(): number {
		return (this.server.address() as AddressInfo).port;
	}

	/** Writes that the server has ended a subscription. */
	end(channel: string): void {
		for (const socket of this.#sockets) socket.write(ended(channel));
	}

	/** Writes these bytes, and ends the connections. */
	cut(bytes: string): void {
		for (const socket of this.#sockets) socket.end(bytes, 'latin1');
	}

	/** Writes the answers that wait, in one piece. */
	release(): void {
		const held = this.#held ?? [];
		this.holdsFrom = undefined;
		this.#held = undefined;
		for (const socket of this.#sockets) socket.write(held.join(''));
	}

	/** Resolves when that command has come, so many times. */
	async got(command: string, times = 1): Promise<void> {
		while (this.commands.filter((each) => each === command).length < times) await this.more();
	}

	/** Resolves when more commands have come. */
	more(): Promise<void> {
		return new Promise((resolve) => {
			this.#wake = resolve;
		});
	}

	close(): void {
		for (const socket of this.#sockets) socket.destroy();
		this.server.close();
	}

	#take(texts: Map<string, string>, name: string): string {
		const text = texts.get(name) ?? '';
		texts.delete(name);
		return text;
	}

	#answer(name: string, first: string): string {
		if (name === 'HELLO') return `%3\r\n${['version', '7.0.15', 'mode', 'cluster', 'role', 'master'].map(bulk).join('')}`;
		if (name === 'EVAL') return ':1\r\n';
		if (name === 'CLUSTER') {
			const ranges = this.slots.map(({ from, to, port }) => {
				const master = `*3\r\n${bulk('127.0.0.1')}:${port}\r\n${bulk(`id-${port}`)}`;
				return `*3\r\n:${from}\r\n:${to}\r\n${master}`;
			});
			return `*${ranges.length}\r\n${ranges.join('')}`;
		}
		if (name === 'SSUBSCRIBE') return `>3\r\n${bulk('ssubscribe')}${bulk(first)}:1\r\n`;
		if (name === 'SUNSUBSCRIBE') return ended(first);
		return '+OK\r\n';
	}
}

/** Starts one on a free port, which the test's end closes. */
export async function startFakeRedis(t: TestContext): Promise<FakeRedis> {
	const server = createServer().listen(0, '127.0.0.1');
	await once(server, 'listening');
	const fake = new FakeRedis(server);
	t.after(() => fake.close());
	return fake;
}

/** How a server tells that it has ended a subscription, by itself or as it was asked. */
export function ended(channel: string): string {
	return `>3\r\n${bulk('sunsubscribe')}${bulk(channel)}:1\r\n`;
}

function bulk(text: string): string {
	return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

/** The first command of what has come, and its length; undefined if it is not complete. */
function readCommand(text: string): { args: string[]; length: number } | undefined {
	const head = /^\*(\d+)\r\n/.exec(text);
	if (head === null) return undefined;
	let length = head[0].length;
	const args: string[] = [];
	while (args.length < Number(head[1])) {
		const [line = '', size] = /^\$(\d+)\r\n/.exec(text.slice(length)) ?? [];
		const end = length + line.length + Number(size);
		if (line === '' || text.length < end + 2) return undefined;
		args.push(text.slice(length + line.length, end));
		length = end + 2;
	}
	return { args, length };
}
