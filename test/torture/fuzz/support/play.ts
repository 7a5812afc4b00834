// Plays one input over a connection of its own.
import type { Socket } from 'node:net';
import type { Input } from './input.js';

// The time that a client waits for an answer. Most changes leave a request incomplete, so that no answer comes. A client that was
// promised an answer waits much longer.
const patienceMs = 150;
const promisedMs = 60_000;
// Enough to tell an answer of the server from one of the engine.
const keptCharacters = 16_384;

/** The beginning of what came back, one character for each byte. */
export type Played = { readonly answer: string };

class Client {
	answer = '';
	isClosed = false;
	#wake: () => void = () => {};

	constructor(
		readonly socket: Socket,
		readonly patienceMs: number,
	) {
		socket.setNoDelay(true);
		socket.on('data', (data) => {
			if (this.answer.length < keptCharacters) this.answer += data.toString('latin1');
			this.#wake();
		});
		// A reset is one way of closing.
		socket.on('error', () => {});
		socket.on('close', () => {
			this.isClosed = true;
			this.#wake();
		});
	}

	write(piece: Buffer): Promise<void> {
		// A socket that is destroyed meanwhile calls back with an error, which makes no difference here.
		return new Promise((resolve) => (this.isClosed ? resolve() : this.socket.write(piece, () => resolve())));
	}

	/** Resolves when that has come, when the connection is closed, or when the client has no patience left. */
	async until(hasCome: () => boolean): Promise<void> {
		const endMs = performance.now() + this.patienceMs;
		while (!hasCome() && !this.isClosed && performance.now() < endMs) {
			await new Promise<void>((resolve) => {
				const patience = setTimeout(resolve, endMs - performance.now());
				this.#wake = () => {
					clearTimeout(patience);
					resolve();
				};
			});
		}
	}
}

/** Resolves when the connection is closed. */
export async function play(socket: Socket, input: Input): Promise<Played> {
	const { stages, ending, restMs, lastAnswer } = input;
	const client = new Client(socket, input.mutations === 0 && ending === 'answer' ? promisedMs : patienceMs);
	for (const [i, pieces] of stages.entries()) {
		if (i > 0) await client.until(() => client.answer.includes('\r\n\r\n'));
		// Frames make no answers of their own, so that a client that does not read can be left where it is.
		if (ending === 'stop reading' && i === stages.length - 1) socket.pause();
		for (const piece of pieces) await client.write(piece);
	}
	if (ending === 'answer') await client.until(() => lastAnswer !== undefined && client.answer.includes(lastAnswer));
	if (ending === 'stop reading') await new Promise((resolve) => setTimeout(resolve, restMs));
	if (ending === 'end') {
		socket.end();
		await client.until(() => false);
	}
	const resets = ending === 'reset' || ending === 'stop reading';
	// TLS has no reset of its own.
	if (resets && !('encrypted' in socket)) socket.resetAndDestroy();
	else socket.destroy();
	await client.until(() => client.isClosed);
	return { answer: client.answer };
}

/** Whether an answer is one of the server's, and not of the engine alone: the engine has no field of this name, and no such status. */
export function isAnswered({ answer }: Played): boolean {
	return /^HTTP\/1\.1 (101|200|204|304) /m.test(answer) || /^Content-Type: text\/plain/im.test(answer);
}
