// Checks the bytes that subscribers receive against the canonical log of each channel. Frames between deliveries are answered or skipped.
import type { CanonicalLog } from './canonical-log.js';
import type { Connection } from './connection.js';
import type { Dialect } from './dialect.js';

export type Subscriber = {
	readonly connection: Connection;
	readonly log: CanonicalLog;
	/** How many bytes of deliveries it has received. */
	position: number;
};

/** The bytes that a connection receives: deliveries of one channel, or of several in turn. */
export type Stream<Kind extends Subscriber> = {
	readonly subscribers: readonly Kind[];
	/** Where in a delivery the byte stands that tells the channels apart, and deliveries from pings. */
	readonly keyAt: number;
	/** Of the channel whose delivery came last. */
	current: Kind;
	/** The beginning of a control message that has not come whole, or of a delivery of which the channel is not known yet. */
	held: Buffer | undefined;
};

/**
 * The paths of the channels differ in one byte, so all deliveries have the same length. Of a lone channel the second byte is looked at: a ping
 * of Socket.IO begins as a delivery does, and has another length.
 */
export function newStream<Kind extends Subscriber>(subscribers: readonly Kind[]): Stream<Kind> {
	const [first, second = first] = subscribers as [Kind, Kind?];
	const difference = first.log.before.findIndex((byte, at) => byte !== second.log.before[at]);
	return { subscribers, keyAt: difference < 0 ? 1 : difference, current: first, held: undefined };
}

export type ReceivingParts<Kind extends Subscriber> = {
	readonly dialect: Dialect;
	/** Called when a subscriber has received so many more bytes of deliveries, and they are right. */
	onAdvance(subscriber: Kind, bytes: number): void;
	/** Called when something is wrong. */
	fail(reason: string): void;
};

/** Makes the function that takes what a connection's stream brings. */
export function receiver<Kind extends Subscriber>({ dialect, onAdvance, fail }: ReceivingParts<Kind>) {
	return function receive(stream: Stream<Kind>, bytes: Buffer): void {
		const all = stream.held === undefined ? bytes : Buffer.concat([stream.held, bytes]);
		stream.held = undefined;
		for (let at = 0; at < all.length; ) {
			const run = runBytes(stream, all, at);
			const isAll = run === all.length;
			const taken =
				run > 0 ? take(stream.current, isAll ? all : all.subarray(at, at + run)) : takeOther(stream, all.subarray(at));
			if (taken === undefined) return;
			at += taken;
		}
	};

	/** Gives how many bytes were taken; undefined if they are wrong. */
	function take(subscriber: Kind, bytes: Buffer): number | undefined {
		const wrong = subscriber.log.take(subscriber.position, bytes);
		if (wrong !== undefined) {
			fail(wrong);
			return undefined;
		}
		subscriber.position += bytes.length;
		onAdvance(subscriber, bytes.length);
		return bytes.length;
	}

	/** How many bytes from here on belong to the channel of the last delivery: a look at two bytes of each delivery. */
	function runBytes({ current, keyAt }: Stream<Kind>, bytes: Buffer, from: number): number {
		const { deliveryBytes, before } = current.log;
		const first = before[0];
		const key = before[keyAt];
		const into = current.position % deliveryBytes;
		let end = into === 0 ? from : from + deliveryBytes - into;
		while (end < bytes.length && bytes[end] === first && bytes[end + keyAt] === key) end += deliveryBytes;
		return Math.min(end, bytes.length) - from;
	}

	/** Takes a control message, or turns to the channel of the delivery that stands here. Undefined if nothing more can be taken now. */
	function takeOther(stream: Stream<Kind>, bytes: Buffer): number | undefined {
		const { subscribers, keyAt, current } = stream;
		const control = controlAt(stream, bytes);
		if (control !== 0) return control;
		if (bytes.length <= keyAt) {
			stream.held = Buffer.from(bytes);
			return undefined;
		}
		const next = subscribers.find(({ log }) => log.before[keyAt] === bytes[keyAt]);
		// Neither: the log says what is wrong with it.
		if (next === undefined || next === current) return take(current, bytes.subarray(0, current.log.deliveryBytes));
		stream.current = next;
		return 0;
	}

	/** The length of the control message that stands here, 0 if none does; undefined if nothing more can be taken now. */
	function controlAt(stream: Stream<Kind>, bytes: Buffer): number | undefined {
		const closing = dialect.closing(bytes);
		if (closing !== undefined) {
			fail(`a subscriber was cut: ${closing}`);
			return undefined;
		}
		const length = dialect.controlBytes(bytes);
		if (length === undefined) stream.held = Buffer.from(bytes);
		else if (length > 0) {
			const answer = dialect.answer(bytes.subarray(0, length));
			if (answer !== undefined) stream.current.connection.socket.write(answer);
		}
		return length;
	}
}
