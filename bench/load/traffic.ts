// Messages to subscribers, every delivery checked: see Traffic in job.ts.
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { CanonicalLog, payloadTemplate, writeNumber } from './canonical-log.js';
import { type Connection, each, subscribe } from './connection.js';
import { dialects, type Envelope } from './dialect.js';
import type { Job, Measurement, Target, Traffic } from './job.js';
import { openPoster, postHead } from './post.js';
import { newStream, receiver, type Subscriber } from './receiving.js';
import { Samples, Stopwatch } from './stopwatch.js';

const connectsAtOnce = 100;
/** Some servers subscribe a little after they have answered the handshake; and what comes too often may come late. */
const settleMs = 100;
/** A delivery that has not come after so long without any other is lost. */
const stallMs = 5_000;

/** The last message of a burst: when it was sent, and how many subscribers have yet to receive it. */
type Mark = { readonly end: number; readonly publisher: Publisher; readonly sentAt: number; remaining: number };

type Channel = {
	readonly path: string;
	readonly log: CanonicalLog;
	readonly subscribers: ChannelSubscriber[];
	readonly publishers: Map<number, Publisher>;
	readonly marks: Mark[];
	/** How many marks before the first in `marks` everyone has passed. */
	marksPassed: number;
};

/** With the first mark that it has not passed, counted from the channel's beginning. */
type ChannelSubscriber = Subscriber & { readonly channel: Channel; nextMark: number };

type Publisher = {
	/** The burst as it goes over the wire, and where in it the payloads begin. */
	readonly burst: Buffer;
	readonly payloadStarts: readonly number[];
	/** When each burst was sent of which no subscriber has received the last message. */
	readonly sentAt: number[];
	sent: number;
	write(burst: Buffer): void;
};

/** Runs the traffic and gives what it measured. Throws if a delivery was lost, doubled, out of order or corrupt, or a connection cut. */
export async function runTraffic(job: Job, work: Traffic, onMeasuring: () => void): Promise<Measurement> {
	const { target } = job;
	const dialect = dialects[target.dialect];
	const samples = new Samples();
	const resting: Publisher[] = [];
	const sockets: Socket[] = [];
	let fail: (reason: string) => void = () => {};
	const failed = new Promise<never>((_resolve, reject) => {
		fail = (reason) => reject(new Error(reason));
	});
	failed.catch(() => {});
	let deliveredBytes = 0;
	let outstanding = 0;
	let isStopping = false;
	let onBurstDelivered = () => {};
	const receive = receiver<ChannelSubscriber>({ dialect, onAdvance, fail: (reason) => fail(reason) });

	const channels = await openChannels();
	await wait(settleMs);
	const stall = watchForStall();
	try {
		return await Promise.race([failed, measure()]);
	} finally {
		clearInterval(stall);
		fail = () => {};
		for (const socket of sockets) socket.destroy();
	}

	async function measure(): Promise<Measurement> {
		const stopSending = startSending();
		await wait(job.warmUpMs);
		await burstDelivered();
		samples.clear();
		const before = deliveredBytes;
		const watch = new Stopwatch(target);
		onMeasuring();
		await wait(job.measureMs);
		await burstDelivered();
		const [{ log }] = channels as [Channel];
		const measurement = watch.stop((deliveredBytes - before) / log.deliveryBytes, samples.percentiles());
		isStopping = true;
		stopSending();
		while (outstanding > 0) await burstDelivered();
		await wait(settleMs);
		return measurement;
	}

	/** The next moment at which some burst has reached all of its subscribers. */
	function burstDelivered(): Promise<void> {
		return new Promise((resolve) => {
			onBurstDelivered = resolve;
		});
	}

	async function openChannels(): Promise<Channel[]> {
		const opened = Array.from({ length: work.channels }, (_, index) => emptyChannel(`/bench/${index}`));
		const channelOf = (index: number) => opened[index % work.channels] as Channel;
		const channelsOf = (index: number) => (dialect.takesManyPaths ? opened : [channelOf(index)]);
		const count = work.subscribersPerChannel * (dialect.takesManyPaths ? 1 : work.channels);
		const connections = await each(count, connectsAtOnce, (index) =>
			subscribe(nodeOf(index), dialect, ...channelsOf(index).map(({ path }) => path)),
		);
		for (const [index, connection] of connections.entries()) join(channelsOf(index), connection);
		for (let index = 0; index < work.channels * work.publishersPerChannel; index++) {
			const channel = channelOf(index);
			const publisher = await (work.by === 'websocket' ? websocketPublisher(channel, index) : postPublisher(channel, index));
			channel.publishers.set(index, publisher);
			resting.push(publisher);
		}
		return opened;
	}

	/** The subscribers of a channel take turns among the nodes, and so do the channels: each node has as many first subscribers. */
	function nodeOf(index: number): Target {
		const ports = [target.port, ...(target.otherPorts ?? [])];
		const turn = (index % work.channels) + Math.floor(index / work.channels);
		return { ...target, port: ports[turn % ports.length] as number };
	}

	function emptyChannel(path: string): Channel {
		const channel: Channel = {
			path,
			log: new CanonicalLog(
				{
					envelope: dialect.deliveryEnvelope(`${target.pathPrefix}${path}`, work.payloadBytes),
					payloadBytes: work.payloadBytes,
					sent: (publisher) => channel.publishers.get(publisher)?.sent,
					onMessage: (publisher, number, end) => onMessage(channel, channel.publishers.get(publisher) as Publisher, number, end),
					slowest: () => channel.subscribers.reduce((least, { position }) => Math.min(least, position), Number.POSITIVE_INFINITY),
				},
				// Twice what a burst puts into it, so that room is made rarely.
				2 * work.window * (work.payloadBytes + 64),
			),
			subscribers: [],
			publishers: new Map(),
			marks: [],
			marksPassed: 0,
		};
		return channel;
	}

	function join(joined: readonly Channel[], connection: Connection): void {
		const stream = newStream(joined.map((channel) => newSubscriber(channel, connection)));
		sockets.push(connection.socket);
		connection.onBytes = (bytes) => receive(stream, bytes);
		connection.onGone = (why) => fail(`a subscriber was cut: ${why}`);
		if (connection.early.length > 0) receive(stream, connection.early);
	}

	function newSubscriber(channel: Channel, connection: Connection): ChannelSubscriber {
		const subscriber = { connection, channel, log: channel.log, position: 0, nextMark: 0 };
		channel.subscribers.push(subscriber);
		return subscriber;
	}

	function onMessage(channel: Channel, publisher: Publisher, number: number, end: number): void {
		if ((number + 1) % work.window !== 0) return;
		const sentAt = publisher.sentAt.shift() as number;
		channel.marks.push({ end, publisher, sentAt, remaining: channel.subscribers.length });
	}

	function onAdvance(subscriber: ChannelSubscriber, bytes: number): void {
		const { channel } = subscriber;
		deliveredBytes += bytes;
		let mark = channel.marks[subscriber.nextMark - channel.marksPassed];
		if (mark === undefined || mark.end > subscriber.position) return;
		const now = performance.now();
		while (mark !== undefined && mark.end <= subscriber.position) {
			samples.add(now - mark.sentAt);
			mark.remaining--;
			subscriber.nextMark++;
			mark = channel.marks[subscriber.nextMark - channel.marksPassed];
		}
		// In order: whoever has passed a mark has passed those before it.
		while (channel.marks[0]?.remaining === 0) {
			const passed = channel.marks.shift() as Mark;
			channel.marksPassed++;
			outstanding--;
			onBurstDelivered();
			if (work.by !== 'post' && work.burstsPerSecond === undefined) nextTurn(passed.publisher);
		}
	}

	function nextTurn(publisher: Publisher): void {
		resting.push(publisher);
		if (!isStopping) publish(resting.shift() as Publisher, performance.now());
	}

	function publish(publisher: Publisher, sentAt: number): void {
		for (const [index, start] of publisher.payloadStarts.entries()) writeNumber(publisher.burst, start, publisher.sent + index);
		publisher.sent += work.window;
		publisher.sentAt.push(sentAt);
		outstanding++;
		publisher.write(publisher.burst);
	}

	/** Lets the first publishers begin, or sends at the given rate. Returns what ends it. */
	function startSending(): () => void {
		if (work.burstsPerSecond === undefined) {
			for (const publisher of resting.splice(0, work.publishersAtOnce)) publish(publisher, performance.now());
			return () => {};
		}
		const periodMs = 1_000 / work.burstsPerSecond;
		let due = performance.now();
		const timer = setInterval(() => {
			for (let now = performance.now(); due <= now; due += periodMs) {
				const publisher = resting.shift() as Publisher;
				resting.push(publisher);
				// From when it should have been sent, but for the timer's own millisecond: who holds up the load holds up the message.
				publish(publisher, Math.min(now, due + 1));
				now = performance.now();
			}
		}, 1);
		return () => clearInterval(timer);
	}

	function websocketPublisher(channel: Channel, index: number): Publisher {
		// The first publishers of a channel are its first subscribers.
		const nth = Math.floor(index / work.channels);
		const { socket } = (channel.subscribers[nth] as ChannelSubscriber).connection;
		const envelope = dialect.publishEnvelope(`${target.pathPrefix}${channel.path}`, work.payloadBytes);
		// In a closed loop the burst has arrived before it is written to again; at a rate, perhaps not.
		const isReused = work.burstsPerSecond === undefined;
		return { ...newPublisher(envelope, index), write: (burst) => socket.write(isReused ? burst : Buffer.from(burst)) };
	}

	async function postPublisher(channel: Channel, index: number): Promise<Publisher> {
		const poster = await openPoster(target);
		const envelope: Envelope = { before: postHead(target, channel.path, work.payloadBytes), after: Buffer.alloc(0) };
		const publisher = { ...newPublisher(envelope, index), write: (burst: Buffer) => poster.socket.write(burst) };
		sockets.push(poster.socket);
		poster.onGone = (why) => fail(why);
		if (work.by === 'post') poster.onAnswer = () => nextTurn(publisher);
		return publisher;
	}

	function newPublisher({ before, after }: Envelope, index: number): Omit<Publisher, 'write'> {
		const message = Buffer.concat([before, payloadTemplate(index, work.payloadBytes), after]);
		const burst = Buffer.concat(Array.from({ length: work.window }, () => message));
		const payloadStarts = Array.from({ length: work.window }, (_, nth) => nth * message.length + before.length);
		return { burst, payloadStarts, sentAt: [], sent: 0 };
	}

	function watchForStall(): NodeJS.Timeout {
		let seen = -1;
		return setInterval(() => {
			if (outstanding > 0 && deliveredBytes === seen) fail(lost());
			seen = deliveredBytes;
		}, stallMs);
	}

	function lost(): string {
		let missing = 0;
		for (const { publishers, subscribers, log } of channels) {
			const sent = [...publishers.values()].reduce((sum, publisher) => sum + publisher.sent, 0);
			for (const { position } of subscribers) missing += sent - position / log.deliveryBytes;
		}
		return `lost: ${Math.ceil(missing)} deliveries have not come for ${stallMs / 1_000} s`;
	}
}
