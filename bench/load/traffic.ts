// Messages to subscribers, every delivery checked: see Traffic in job.ts.
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { CanonicalLog, payloadTemplate, writeNumber } from './canonical-log.js';
import { type Connection, each, subscribe } from './connection.js';
import { dialects, type Envelope } from './dialect.js';
import type { Job, Measurement, Traffic } from './job.js';
import { openPoster, postHead } from './post.js';
import { Samples, Stopwatch } from './stopwatch.js';

const connectsAtOnce = 100;
/** Some servers subscribe a little after they have answered the handshake. */
const settleMs = 200;
/** A delivery that has not come after so long without any other is lost. */
const stallMs = 5_000;

/** The last message of a burst: when it was sent, and how many subscribers have yet to receive it. */
type Mark = { readonly end: number; readonly publisher: Publisher; readonly sentAt: number; remaining: number };

type Subscriber = {
	readonly connection: Connection;
	readonly channel: Channel;
	/** How many bytes of deliveries it has received. */
	position: number;
	/** The first mark that it has not passed, counted from the channel's beginning. */
	nextMark: number;
	/** The beginning of a control message that has not come whole. */
	held: Buffer | undefined;
};

type Channel = {
	readonly log: CanonicalLog;
	readonly subscribers: Subscriber[];
	readonly publishers: Publisher[];
	readonly marks: Mark[];
	/** How many marks before the first in `marks` everyone has passed. */
	marksPassed: number;
};

type Publisher = {
	readonly channel: Channel;
	/** The burst as it goes over the wire, and where in it the payloads begin. */
	readonly burst: Buffer;
	readonly payloadStarts: readonly number[];
	sentAt: number;
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
		const watch = new Stopwatch(target.pids);
		onMeasuring();
		await wait(job.measureMs);
		await burstDelivered();
		const [{ log }] = channels as [Channel];
		const measurement = watch.stop((deliveredBytes - before) / log.deliveryBytes, samples.percentiles());
		isStopping = true;
		stopSending();
		while (outstanding > 0) await burstDelivered();
		return measurement;
	}

	/** The next moment at which some burst has reached all of its subscribers. */
	function burstDelivered(): Promise<void> {
		return new Promise((resolve) => {
			onBurstDelivered = resolve;
		});
	}

	async function openChannels(): Promise<Channel[]> {
		const opened: Channel[] = [];
		for (let index = 0; index < work.channels; index++) opened.push(emptyChannel(`/bench/${index}`));
		const count = work.channels * work.subscribersPerChannel;
		const connections = await each(count, connectsAtOnce, (index) =>
			subscribe(target, dialect, `/bench/${index % work.channels}`),
		);
		for (const [index, connection] of connections.entries()) join(opened[index % work.channels] as Channel, connection);
		for (const [index, channel] of opened.entries()) {
			for (let publisher = 0; publisher < work.publishersPerChannel; publisher++) {
				const path = `/bench/${index}`;
				const newPublisher = work.by === 'post' ? postPublisher : websocketPublisher;
				const added = await newPublisher(channel, path, publisher);
				channel.publishers.push(added);
				resting.push(added);
			}
		}
		return opened;
	}

	function emptyChannel(path: string): Channel {
		const channel: Channel = {
			log: new CanonicalLog(
				{
					envelope: dialect.deliveryEnvelope(`${target.pathPrefix}${path}`, work.payloadBytes),
					payloadBytes: work.payloadBytes,
					sent: (publisher) => channel.publishers[publisher]?.sent ?? 0,
					onMessage: (publisher, number, end) => onMessage(channel, channel.publishers[publisher] as Publisher, number, end),
					slowest: () => channel.subscribers.reduce((least, { position }) => Math.min(least, position), Number.POSITIVE_INFINITY),
				},
				// Twice what a burst puts into it, so that room is made rarely.
				2 * work.window * (work.payloadBytes + 64),
			),
			subscribers: [],
			publishers: [],
			marks: [],
			marksPassed: 0,
		};
		return channel;
	}

	function join(channel: Channel, connection: Connection): void {
		sockets.push(connection.socket);
		const subscriber: Subscriber = { connection, channel, position: 0, nextMark: 0, held: undefined };
		channel.subscribers.push(subscriber);
		connection.onBytes = (bytes) => receive(subscriber, bytes);
		connection.onGone = (why) => fail(`a subscriber was cut: ${why}`);
		if (connection.early.length > 0) receive(subscriber, connection.early);
	}

	function onMessage(channel: Channel, publisher: Publisher, number: number, end: number): void {
		if ((number + 1) % work.window !== 0) return;
		channel.marks.push({ end, publisher, sentAt: publisher.sentAt, remaining: channel.subscribers.length });
	}

	function receive(subscriber: Subscriber, bytes: Buffer): void {
		const { log } = subscriber.channel;
		if (subscriber.held !== undefined || mayHoldControl(subscriber, bytes)) {
			receiveByDelivery(subscriber, bytes);
			return;
		}
		const wrong = log.take(subscriber.position, bytes);
		if (wrong === undefined) advance(subscriber, bytes.length);
		else fail(wrong);
	}

	/** Whether a control message begins in these bytes: a look at the first byte of each delivery. */
	function mayHoldControl({ position, channel: { log } }: Subscriber, bytes: Buffer): boolean {
		const first = log.firstByte;
		const into = position % log.deliveryBytes;
		for (let at = into === 0 ? 0 : log.deliveryBytes - into; at < bytes.length; at += log.deliveryBytes)
			if (bytes[at] !== first) return true;
		return false;
	}

	/** The slow way: a delivery at a time, with what is between them taken out. */
	function receiveByDelivery(subscriber: Subscriber, received: Buffer): void {
		const { log } = subscriber.channel;
		const bytes = subscriber.held === undefined ? received : Buffer.concat([subscriber.held, received]);
		subscriber.held = undefined;
		let at = 0;
		while (at < bytes.length) {
			const into = subscriber.position % log.deliveryBytes;
			if (into === 0) {
				const closing = dialect.closing(bytes.subarray(at));
				if (closing !== undefined) {
					fail(`a subscriber was cut: ${closing}`);
					return;
				}
				const control = dialect.controlBytes(bytes.subarray(at));
				if (control === undefined) {
					subscriber.held = Buffer.from(bytes.subarray(at));
					return;
				}
				at += control;
				if (control > 0) continue;
			}
			const piece = bytes.subarray(at, at + log.deliveryBytes - into);
			const wrong = log.take(subscriber.position, piece);
			if (wrong !== undefined) {
				fail(wrong);
				return;
			}
			at += piece.length;
			advance(subscriber, piece.length);
		}
	}

	function advance(subscriber: Subscriber, bytes: number): void {
		const { channel } = subscriber;
		deliveredBytes += bytes;
		subscriber.position += bytes;
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
			if (work.by === 'websocket' && work.burstsPerSecond === undefined) nextTurn(passed.publisher);
		}
	}

	function nextTurn(publisher: Publisher): void {
		resting.push(publisher);
		if (!isStopping) publish(resting.shift() as Publisher);
	}

	function publish(publisher: Publisher): void {
		for (const [index, start] of publisher.payloadStarts.entries()) writeNumber(publisher.burst, start, publisher.sent + index);
		publisher.sent += work.window;
		publisher.sentAt = performance.now();
		outstanding++;
		publisher.write(publisher.burst);
	}

	/** Lets the first publishers begin, or sends at the given rate. Returns what ends it. */
	function startSending(): () => void {
		if (work.burstsPerSecond === undefined) {
			for (const publisher of resting.splice(0, work.publishersAtOnce)) publish(publisher);
			return () => {};
		}
		const periodMs = 1_000 / work.burstsPerSecond;
		let due = performance.now();
		const timer = setInterval(() => {
			for (; due <= performance.now(); due += periodMs) {
				const publisher = resting.shift() as Publisher;
				resting.push(publisher);
				publish(publisher);
			}
		}, 1);
		return () => clearInterval(timer);
	}

	function websocketPublisher(channel: Channel, path: string, index: number): Publisher {
		const { socket } = (channel.subscribers[index] as Subscriber).connection;
		const envelope = dialect.publishEnvelope(`${target.pathPrefix}${path}`, work.payloadBytes);
		// In a closed loop the burst has arrived before it is written to again; at a rate, perhaps not.
		const isReused = work.burstsPerSecond === undefined;
		return { ...newPublisher(channel, envelope, index), write: (burst) => socket.write(isReused ? burst : Buffer.from(burst)) };
	}

	async function postPublisher(channel: Channel, path: string, index: number): Promise<Publisher> {
		const poster = await openPoster(target);
		const envelope: Envelope = { before: postHead(target, path, work.payloadBytes), after: Buffer.alloc(0) };
		const publisher = { ...newPublisher(channel, envelope, index), write: (burst: Buffer) => poster.socket.write(burst) };
		sockets.push(poster.socket);
		poster.onGone = (why) => fail(why);
		poster.onAnswer = () => nextTurn(publisher);
		return publisher;
	}

	function newPublisher(channel: Channel, { before, after }: Envelope, index: number): Omit<Publisher, 'write'> {
		const message = Buffer.concat([before, payloadTemplate(index, work.payloadBytes), after]);
		const burst = Buffer.concat(Array.from({ length: work.window }, () => message));
		const payloadStarts = Array.from({ length: work.window }, (_, nth) => nth * message.length + before.length);
		return { channel, burst, payloadStarts, sentAt: 0, sent: 0 };
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
			const sentBytes = publishers.reduce((sum, { sent }) => sum + sent, 0) * log.deliveryBytes;
			for (const { position } of subscribers) missing += (sentBytes - position) / log.deliveryBytes;
		}
		return `lost: ${Math.ceil(missing)} deliveries have not come for ${stallMs / 1_000} s`;
	}
}
