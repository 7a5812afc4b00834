// What subscribers receive: every byte goes past the channel's canonical log, what is between deliveries is answered or skipped.
import type { CanonicalLog } from './canonical-log.js';
import type { Connection } from './connection.js';
import type { Dialect } from './dialect.js';

export type Subscriber = {
	readonly connection: Connection;
	readonly log: CanonicalLog;
	/** How many bytes of deliveries it has received. */
	position: number;
	/** The beginning of a control message that has not come whole. */
	held: Buffer | undefined;
};

export type ReceivingParts<Kind extends Subscriber> = {
	readonly dialect: Dialect;
	/** Called when a subscriber has received so many more bytes of deliveries, and they are right. */
	onAdvance(subscriber: Kind, bytes: number): void;
	/** Called when something is wrong. */
	fail(reason: string): void;
};

/** Makes the function that takes what a subscriber's stream brings. */
export function receiver<Kind extends Subscriber>({ dialect, onAdvance, fail }: ReceivingParts<Kind>) {
	return function receive(subscriber: Kind, bytes: Buffer): void {
		if (subscriber.held === undefined && !mayHoldControl(subscriber, bytes)) {
			take(subscriber, bytes);
			return;
		}
		const all = subscriber.held === undefined ? bytes : Buffer.concat([subscriber.held, bytes]);
		subscriber.held = undefined;
		takeByDelivery(subscriber, all);
	};

	function take(subscriber: Kind, bytes: Buffer): boolean {
		const wrong = subscriber.log.take(subscriber.position, bytes);
		if (wrong !== undefined) {
			fail(wrong);
			return false;
		}
		subscriber.position += bytes.length;
		onAdvance(subscriber, bytes.length);
		return true;
	}

	/** Whether a control message may begin in these bytes: a look at the first byte of each delivery. */
	function mayHoldControl({ position, log }: Kind, bytes: Buffer): boolean {
		const into = position % log.deliveryBytes;
		for (let at = into === 0 ? 0 : log.deliveryBytes - into; at < bytes.length; at += log.deliveryBytes)
			if (bytes[at] !== log.firstByte) return true;
		return false;
	}

	/** The slow way: a delivery at a time, with what is between them taken out. */
	function takeByDelivery(subscriber: Kind, bytes: Buffer): void {
		const { deliveryBytes } = subscriber.log;
		let at = 0;
		while (at < bytes.length) {
			const into = subscriber.position % deliveryBytes;
			if (into === 0) {
				const control = controlAt(subscriber, bytes.subarray(at));
				if (control === undefined) return;
				at += control;
				if (control > 0) continue;
			}
			const piece = bytes.subarray(at, at + deliveryBytes - into);
			if (!take(subscriber, piece)) return;
			at += piece.length;
		}
	}

	/** The length of the control message that stands here, 0 if none does; undefined if nothing more can be taken now. */
	function controlAt(subscriber: Kind, bytes: Buffer): number | undefined {
		const closing = dialect.closing(bytes);
		if (closing !== undefined) {
			fail(`a subscriber was cut: ${closing}`);
			return undefined;
		}
		const length = dialect.controlBytes(bytes);
		if (length === undefined) subscriber.held = Buffer.from(bytes);
		else if (length > 0) {
			const answer = dialect.answer(bytes.subarray(0, length));
			if (answer !== undefined) subscriber.connection.socket.write(answer);
		}
		return length;
	}
}
