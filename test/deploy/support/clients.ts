// Clients of a proxy that speaks TLS: publishers, subscribers, and subscribers that come back.
import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { type Subscriber, subscribe } from '../../support/subscriber.js';
import { tls } from '../../support/tls.js';

export type Asked = {
	readonly method?: string;
	readonly headers?: Record<string, string>;
	readonly body?: string | Buffer;
	/** From which of this machine's addresses; 127.0.0.1 if not given. */
	readonly from?: string;
};
export type Answered = { readonly status: number; readonly headers: NodeJS.Dict<string | string[]>; readonly body: string };

/** One kept-alive client: asks for paths as they are, in UTF-8. */
export class HttpsClient {
	readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });

	constructor(
		t: TestContext,
		readonly port: number,
	) {
		t.after(() => this.#agent.destroy());
	}

	async ask(path: string, { method = 'GET', headers = {}, body, from = '127.0.0.1' }: Asked = {}): Promise<Answered> {
		const payload = body === undefined ? undefined : Buffer.from(body);
		const asked = request({
			...tls,
			host: '127.0.0.1',
			port: this.port,
			localAddress: from,
			method,
			// Node takes one character for each byte.
			path: Buffer.from(path).toString('latin1'),
			headers: { ...headers, ...(payload && { 'Content-Length': payload.length }) },
			agent: this.#agent,
		});
		asked.end(payload);
		const [answer] = await once(asked, 'response');
		return { status: answer.statusCode, headers: answer.headers, body: await text(answer) };
	}

	/** Publishes, and tells to how many; a refusal is an error. */
	async publish(path: string, message: string, headers: Record<string, string> = {}): Promise<number> {
		const answer = await this.ask(path, { method: 'POST', body: message, headers });
		if (answer.status !== 200) throw new Error(`POST ${path}: ${answer.status} ${answer.body}`);
		return Number(answer.headers['x-subscribers']);
	}
}

/** Opens a websocket through a proxy. */
export function subscribeOver(
	t: TestContext,
	port: number,
	path: string,
	{ headers = {}, from = '127.0.0.1' }: Pick<Asked, 'headers' | 'from'> = {},
): Promise<Subscriber> {
	return subscribe(t, `wss://127.0.0.1:${port}${path}`, { ...tls, headers, localAddress: from });
}
