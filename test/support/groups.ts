// A websocket client with many channels (--groups), whose frames are taken one by one.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type WebSocket from 'ws';
import { type Received, type Subscriber, subscribe } from './subscriber.js';

export const groupsProtocol = 'pathcast.groups.v1';

/** A frame of the server: the fields of its head in their order, and what follows the blank line. */
export type GroupFrame = { readonly head: ReadonlyMap<string, string>; readonly body: string; readonly isBinary: boolean };

/** The channel, the sender and the body of a message. */
export type GroupMessage = readonly [channel: string, from: string, body: string];

export class GroupClient {
	readonly closed: Subscriber['closed'];

	constructor(readonly subscriber: Subscriber) {
		this.closed = subscriber.closed;
	}

	get ws(): WebSocket {
		return this.subscriber.ws;
	}

	/** Sends a frame of one line, and no blank line. */
	send(head: string): void {
		this.subscriber.send(head);
	}

	publish(path: string, body: string | Buffer): void {
		const head = `publish: ${path}\n\n`;
		this.subscriber.send(typeof body === 'string' ? head + body : Buffer.concat([Buffer.from(head), body]));
	}

	/** The next frame, which may still have to arrive. Rejects if the connection ends first. */
	async next(): Promise<GroupFrame> {
		return parseFrame(await this.subscriber.next());
	}

	/** The next frame, which must be a message. */
	async nextMessage(): Promise<GroupMessage> {
		return messageIn(await this.next());
	}

	async messages(count: number): Promise<GroupMessage[]> {
		const messages: GroupMessage[] = [];
		while (messages.length < count) messages.push(await this.nextMessage());
		return messages;
	}

	/** The head of the next frame, which must not be a message. */
	async nextAnswer(): Promise<Record<string, string>> {
		const { head } = await this.next();
		assert.ok(!head.has('channel') && !head.has('session'), `a message came before the answer: ${JSON.stringify([...head])}`);
		return Object.fromEntries(head);
	}

	/** Sends a change, and gives the head of the next frame, which must be its answer. */
	change(head: string): Promise<Record<string, string>> {
		this.send(head);
		return this.nextAnswer();
	}

	/** The next frame, which must be a refusal: its path (or ''), its status, and the reason. */
	async nextRefusal(): Promise<[path: string, status: number, reason: string]> {
		const { head, body } = await this.next();
		assert.deepEqual(
			[...head.keys()].filter((name) => name !== 'command'),
			['refused', 'status'],
		);
		return [head.get('refused') ?? '', Number(head.get('status')), body];
	}

	/** All frames until the connection ends, which must be with that code. */
	async framesUntilClosed(code: number): Promise<GroupFrame[]> {
		const frames: GroupFrame[] = [];
		for (;;) {
			const received = await this.subscriber.next().catch(() => undefined);
			if (received === undefined) break;
			frames.push(parseFrame(received));
		}
		assert.equal((await this.closed).code, code);
		return frames;
	}

	close(): Promise<{ readonly code: number; readonly reason: string }> {
		return this.subscriber.close();
	}
}

/** The answer to a change, as `nextAnswer` gives it: each list of paths as it stands in the head. */
export function changed(subscribed: string, joined = '', left = ''): Record<string, string> {
	return { subscribed, joined, left };
}

export function parseFrame({ data, isBinary }: Received): GroupFrame {
	// By bytes: the body of a binary frame need not be UTF-8.
	const end = data.indexOf('\n\n');
	assert.ok(end > 0, `a frame without a head: ${JSON.stringify(data.toString())}`);
	const head = new Map<string, string>();
	for (const line of data.subarray(0, end).toString().split('\n')) {
		const [, name = '', value = ''] = /^([a-z]+):(?: (.*))?$/s.exec(line) ?? [];
		assert.ok(name !== '' && !head.has(name), `a malformed line in a head: ${JSON.stringify(line)}`);
		head.set(name, value);
	}
	return { head, body: data.subarray(end + 2).toString(isBinary ? 'latin1' : 'utf8'), isBinary };
}

function messageIn({ head, body }: GroupFrame): GroupMessage {
	const [channel, from] = [head.get('channel'), head.get('from')];
	if (channel === undefined || from === undefined) assert.fail(`expected a message: ${JSON.stringify([...head])}`);
	return [channel, from, body];
}

/**
 * Opens a websocket that speaks the subprotocol, which the test's end terminates. Resolves when it is subscribed to the path.
 * The path goes out as it is, in UTF-8.
 */
export async function openGroups(
	t: TestContext,
	server: { ws(path: string): string },
	path: string,
	options: WebSocket.ClientOptions = {},
): Promise<GroupClient> {
	const subscriber = await subscribe(t, server.ws(path), options, [groupsProtocol]);
	assert.equal(subscriber.ws.protocol, groupsProtocol);
	return new GroupClient(subscriber);
}
