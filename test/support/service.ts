// A service of the application, as --auth asks it: it answers each question as the test says, or when the test says so.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';

export type HeaderLines = readonly (readonly [name: string, value: string])[];
/** How a service answers a question. */
export type Script = (question: Question) => void;

/** A question, and the ways to answer it. */
export class Question {
	readonly method: string;
	/** The target of the request line. */
	readonly url: string;
	/** Name, value, name, value, as they came, each byte as one character. */
	readonly fields: readonly string[];
	/** Resolves when its connection has ended before the answer. */
	readonly takenBack: Promise<void>;
	readonly socket: Socket;
	readonly #request: IncomingMessage;
	readonly #response: ServerResponse;

	constructor(request: IncomingMessage, response: ServerResponse) {
		this.method = request.method ?? '';
		this.url = request.url ?? '';
		this.fields = request.rawHeaders;
		this.socket = request.socket;
		this.#request = request;
		this.#response = response;
		this.takenBack = new Promise((resolve) => response.on('close', () => response.writableFinished || resolve()));
	}

	/** All values of a header field, in their order. */
	all(name: string): string[] {
		return this.fields.filter((_, i) => i % 2 === 1 && this.fields[i - 1]?.toLowerCase() === name.toLowerCase());
	}

	/** The value of a header field that came once, in UTF-8; undefined if it did not come. */
	field(name: string): string | undefined {
		const values = this.all(name);
		if (values.length > 1) throw new Error(`${name} came ${values.length} times`);
		return values[0] === undefined ? undefined : Buffer.from(values[0], 'latin1').toString();
	}

	/** The body. */
	async body(): Promise<Buffer> {
		const pieces: Buffer[] = [];
		for await (const piece of this.#request) pieces.push(piece);
		return Buffer.concat(pieces);
	}

	async text(): Promise<string> {
		return (await this.body()).toString();
	}

	answer(status: number, headers: HeaderLines = [], body: string | Buffer = ''): void {
		const length = status === 204 ? [] : [['Content-Length', String(Buffer.byteLength(body))]];
		// A flat list goes out as it is, repeated fields too.
		this.#response.writeHead(status, [...headers, ...length].flat());
		this.#response.end(body);
	}

	/** Writes these bytes in place of an answer. */
	write(bytes: string | Buffer): void {
		this.socket.write(bytes as string, 'latin1');
	}
}

/** Answers with that status, these header fields and that body. */
export function answering(status: number, headers: HeaderLines = [], body: string | Buffer = ''): Script {
	return (question) => question.answer(status, headers, body);
}

/** Writes these bytes in place of an answer, and closes the connection, or leaves it open. */
export function writing(bytes: string | Buffer, then: 'close' | 'leave open' = 'leave open'): Script {
	return (question) => {
		question.write(bytes);
		if (then === 'close') question.socket.end();
	};
}

/** Writes these bytes one by one, and closes the connection. */
export function dripping(bytes: string, everyMs: number): Script {
	return ({ socket }) => {
		const rest = [...bytes];
		const timer = setInterval(() => {
			const byte = rest.shift();
			if (byte !== undefined && !socket.destroyed) {
				socket.write(byte, 'latin1');
				return;
			}
			clearInterval(timer);
			socket.end();
		}, everyMs);
	};
}

/** Takes that long, as a service does that asks a database. */
export function slowly(script: Script, ms: number): Script {
	return (question) => void setTimeout(() => script(question), ms);
}

export const allow = answering(204);
/** Answers each question by the path that the client asks for; those without a script are allowed. */
export function byPath(scripts: Readonly<Record<string, Script>>): Script {
	return (question) => (scripts[question.field('X-Original-URI')?.replace(/\?.*/, '') ?? ''] ?? allow)(question);
}

/** Leaves the answer to the test. */
export const hold: Script = () => {};

export class TestService {
	/** How it answers. The test may change it. */
	script: Script;
	/** How many questions came, and over how many connections. */
	asked = 0;
	connections = 0;
	readonly #sockets = new Set<Socket>();
	readonly #arrived: Question[] = [];
	readonly #waiting: ((question: Question) => void)[] = [];
	#url = '';

	constructor(script: Script) {
		this.script = script;
	}

	get url(): string {
		return this.#url;
	}

	/** How many connections are open. */
	get open(): number {
		return this.#sockets.size;
	}

	/** The next question, which may still have to come. */
	next(): Promise<Question> {
		const arrived = this.#arrived.shift();
		if (arrived !== undefined) return Promise.resolve(arrived);
		return new Promise((resolve) => this.#waiting.push(resolve));
	}

	/** The next ones, in the order in which they came. */
	async take(count: number): Promise<Question[]> {
		const questions: Question[] = [];
		while (questions.length < count) questions.push(await this.next());
		return questions;
	}

	/** Ends all connections that are open. */
	hangUp(): void {
		for (const socket of this.#sockets) socket.destroy();
	}

	async listen(t: TestContext): Promise<void> {
		// Idle connections stay open until the test closes them.
		const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
			this.asked++;
			const question = new Question(request, response);
			const taker = this.#waiting.shift();
			if (taker === undefined) this.#arrived.push(question);
			else taker(question);
			this.script(question);
		});
		server.on('connection', (socket) => {
			this.connections++;
			this.#sockets.add(socket);
			socket.on('close', () => this.#sockets.delete(socket));
			// A reset is one way of closing.
			socket.on('error', () => {});
		});
		// Enough for all connections that the tests open at once.
		server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 });
		await once(server, 'listening');
		t.after(() => {
			server.close();
			this.hangUp();
		});
		this.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ask`;
	}
}

/** Starts a service that answers in this way, and stops it after the test. */
export async function startService(t: TestContext, script: Script = allow): Promise<TestService> {
	const service = new TestService(script);
	await service.listen(t);
	return service;
}
