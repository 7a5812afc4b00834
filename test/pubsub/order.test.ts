import assert from 'node:assert/strict';
import { test } from 'node:test';
import { post } from '../support/http.js';
import { type Random, seededRandom } from '../support/random.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { type Subscriber, subscribe } from '../support/subscriber.js';

// One subscriber of each channel, there from before the first message to after the last, is the canonical log that all
// others are held to: a subscriber that joins late or leaves early has seen one piece of it, without a gap, from the right place.

// A backlog small enough that bursts are paced over several ticks, and large enough for readers in this very process.
const backlog = '2MiB';
const channels = ['/a', '/a/', '//a', '/caf%C3%A9', '/b', '/c'];
const steps = 400;

type Stream = { readonly subscriber: Subscriber; readonly texts: string[]; readonly isOver: Promise<void> };

/** Collects what a subscriber gets, until `end` comes or the connection ends. */
function collect(subscriber: Subscriber): Stream {
	const texts: string[] = [];
	const isOver = (async () => {
		for (;;) {
			const text = await subscriber.nextText();
			if (text === 'end') return;
			texts.push(text);
		}
	})();
	return { subscriber, texts, isOver };
}

/** A text of a length that crosses the engine's limits now and then: 126 bytes, 16 KiB. */
function textOf(random: Random, label: string): string {
	const length = [0, 0, 10, 126, 1_000, 20_000][random.below(6)] ?? 0;
	return label.padEnd(length, '.');
}

class Publisher {
	readonly sent: string[] = [];

	constructor(
		readonly name: string,
		readonly channel: string,
		readonly stream: Stream,
	) {}

	next(random: Random): string {
		const text = textOf(random, `${this.channel} ${this.name} ${this.sent.length}`);
		this.sent.push(text);
		return text;
	}

	/** Sends several messages in one write, so that the server gets them in one read. */
	burst(random: Random, count: number): void {
		const socket = (this.stream.subscriber.ws as unknown as { _socket: { cork(): void; uncork(): void } })._socket;
		socket.cork();
		for (let i = 0; i < count; i++) this.stream.subscriber.send(this.next(random));
		socket.uncork();
	}
}

test('whatever is published, joins and leaves in whatever order, every stream is a piece of one order per channel', async (t) => {
	const random = seededRandom(t);
	const server = await startTestServer(t, '--log-level', 'info', '--max-backlog', backlog);
	const pick = <T>(items: readonly T[]): T => items[random.below(items.length)] as T;

	const canonical = new Map<string, Stream>();
	for (const channel of channels) canonical.set(channel, collect(await subscribe(t, server.ws(channel))));
	const publishers: Publisher[] = [];
	for (const channel of channels) {
		for (let p = 0; p < 3; p++)
			publishers.push(new Publisher(`ws${p}`, channel, collect(await subscribe(t, server.ws(channel)))));
	}
	const posters = channels.map((channel) => ({ channel, sent: [] as string[], last: Promise.resolve() }));
	const joined: { channel: string; stream: Stream; hasLeft: boolean; first: string }[] = [];
	const underWay: Promise<unknown>[] = [];

	for (let step = 0; step < steps; step++) {
		const action = random.below(100);
		if (action < 50) pick(publishers).burst(random, 1 + random.below(5));
		else if (action < 55) pick(publishers).burst(random, 100 + random.below(400));
		else if (action < 80) {
			const poster = pick(posters);
			const text = textOf(random, `${poster.channel} post ${poster.sent.length}`);
			poster.sent.push(text);
			// One after another, as an application server's connection would.
			poster.last = poster.last.then(() => postHeard(server, poster.channel, text));
			underWay.push(poster.last);
		} else if (action < 92) {
			const channel = pick(channels);
			underWay.push(
				subscribe(t, server.ws(channel)).then((subscriber) => {
					// Once open, it is subscribed: its own first message is the latest that its stream may begin with.
					const first = `${channel} joined ${joined.length}`;
					joined.push({ channel, stream: collect(subscriber), hasLeft: false, first });
					subscriber.send(first);
				}),
			);
		} else {
			const leaver = joined.find(({ hasLeft }) => !hasLeft);
			if (leaver !== undefined) {
				leaver.hasLeft = true;
				leaver.stream.isOver.catch(() => {});
				leaver.stream.subscriber.ws.close();
			}
		}
		if (random.below(4) === 0) await Promise.race([...underWay.slice(-1), new Promise(setImmediate)]);
	}
	await Promise.all(underWay);
	// An answered POST is behind everything that each websocket sent before it only if that was read; an echo says so.
	const stayed = joined.filter(({ hasLeft }) => !hasLeft);
	for (const publisher of publishers) publisher.burst(random, 1);
	await Promise.all(
		[
			...publishers.map(({ stream, sent }) => ({ stream, last: sent.at(-1) })),
			...stayed.map(({ stream, first: last }) => ({ stream, last })),
		].map(({ stream, last }) => until(() => stream.texts.includes(last ?? ''))),
	);
	for (const channel of channels) await postHeard(server, channel, 'end');
	await Promise.all(
		[...canonical.values(), ...publishers.map(({ stream }) => stream), ...stayed.map(({ stream }) => stream)].map(
			({ isOver }) => isOver,
		),
	);
	for (const { stream, hasLeft } of joined) if (hasLeft) await stream.subscriber.closed;

	for (const channel of channels) {
		const log = canonical.get(channel)?.texts ?? [];
		const own = <T extends { channel: string }>(items: readonly T[]) => items.filter((item) => item.channel === channel);
		const sent = [...own(publishers).flatMap((publisher) => publisher.sent), ...own(posters).flatMap((poster) => poster.sent)];
		const firsts = own(joined).map(({ first }) => first);
		assert.deepEqual(
			[...log].filter((text) => !text.includes(' joined ')).sort(),
			sent.sort(),
			'every message once, none of another channel',
		);
		assert.ok(log.filter((text) => text.includes(' joined ')).every((text) => firsts.includes(text)));
		for (const publisher of own(publishers)) {
			assert.deepEqual(publisher.stream.texts, log, 'a publisher that was there from the start sees the whole order');
			assert.deepEqual(
				log.filter((text) => publisher.sent.includes(text)),
				publisher.sent,
				"a sender's messages keep their order",
			);
		}
		for (const poster of own(posters)) {
			assert.deepEqual(
				log.filter((text) => text.startsWith(`${channel} post `)),
				poster.sent,
				'answered POSTs keep their order',
			);
		}
		for (const { stream, hasLeft, first } of own(joined)) {
			const start = log.indexOf(stream.texts[0] ?? '');
			const piece = hasLeft ? log.slice(start, start + stream.texts.length) : log.slice(start);
			if (stream.texts.length > 0 || !hasLeft)
				assert.deepEqual(stream.texts, piece, 'a late or early one sees one piece, without a gap');
			if (!hasLeft) assert.ok(stream.texts.includes(first), 'and what it sent itself');
		}
	}
});

async function postHeard(server: TestServer, path: string, text: string): Promise<void> {
	const { status, headers } = await post(server.port, path, text);
	assert.equal(status, 200);
	assert.ok(Number(headers.get('x-subscribers')) >= 4, 'the canonical subscriber and the publishers are there');
}

async function until(isTrue: () => boolean): Promise<void> {
	while (!isTrue()) await new Promise(setImmediate);
}
