// A connection with many channels, and what is published on them: the messages of each channel are numbered, so that a gap shows.
import assert from 'node:assert/strict';
import { numbered } from '../../support/gapless.js';
import type { GroupClient, GroupFrame } from '../../support/groups.js';
import { post } from '../../support/http.js';
import { metric, type TestServer } from '../../support/server.js';

export const slowCut = 'pathcast_disconnects_total{reason="slow"}';

/** How many bytes wait in the server, deferred or kept. */
export const kept = (server: TestServer) => metric(server, 'pathcast_backlog_bytes');

export class Follower {
	readonly #published = new Map<string, number>();
	readonly #seen = new Map<string, number>();

	constructor(
		readonly server: TestServer,
		readonly client: GroupClient,
	) {}

	published(channel: string): number {
		return this.#published.get(channel) ?? 0;
	}

	seen(channel: string): number {
		return this.#seen.get(channel) ?? 0;
	}

	/** The text of the next message of a channel, for the test to publish. */
	text(channel: string, bytes: number): string {
		const number = this.published(channel);
		this.#published.set(channel, number + 1);
		return numbered(number, bytes);
	}

	async publish(channel: string, bytes = 64_000): Promise<void> {
		const { status } = await post(this.server.operatorPort, `/channels${channel}`, this.text(channel, bytes));
		assert.equal(status, 200);
	}

	/** Publishes until something is kept for this client, which does not read. */
	async publishUntilKept(channel: string): Promise<void> {
		while ((await kept(this.server)) === 0) {
			assert.ok(this.published(channel) < 10_000, 'it does not fall behind');
			// Mostly short ones once it lags: the second look has to come before the client has too much unread.
			const isLagging = (await metric(this.server, 'pathcast_lagging_subscribers')) > 0;
			await this.publish(channel, isLagging && this.published(channel) % 50 > 0 ? 10 : 64_000);
		}
	}

	/** The connection joins a channel before the next message of it. */
	joins(channel: string): void {
		this.#seen.set(channel, this.published(channel));
	}

	/** Takes a frame. Asserts that a message is the next one of its channel; gives the head of an answer. */
	see({ head, body }: GroupFrame): Record<string, string> | undefined {
		const channel = head.get('channel');
		if (channel === undefined) return Object.fromEntries(head);
		const number = this.seen(channel);
		assert.equal(body.split(' ')[0], String(number), channel);
		this.#seen.set(channel, number + 1);
		return undefined;
	}

	/** Reads messages up to an answer, and gives its head. */
	async answer(): Promise<Record<string, string>> {
		for (;;) {
			const answer = this.see(await this.client.next());
			if (answer !== undefined) return answer;
		}
	}

	/** Reads everything that has been published on some channels. No answer comes between. */
	async readAll(...channels: string[]): Promise<void> {
		while (channels.some((channel) => this.seen(channel) < this.published(channel)))
			assert.equal(this.see(await this.client.next()), undefined);
	}

	/** Reads until the connection ends, which must be with that code, and gives the heads of the answers. */
	async readUntilClosed(code: number): Promise<Record<string, string>[]> {
		const frames = await this.client.framesUntilClosed(code);
		return frames.map((frame) => this.see(frame)).filter((answer) => answer !== undefined);
	}
}

export async function openFollower(server: TestServer, opening: Promise<GroupClient>, channels: string): Promise<Follower> {
	const client = await opening;
	await client.change(`subscribe: ${channels}`);
	return new Follower(server, client);
}
