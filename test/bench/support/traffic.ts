// What the tests of the benchmark's checker have in common: a small load, and a server that changes one message.
import type { Job, Measurement, Traffic } from '#bench/load/job.js';
import { runTraffic } from '#bench/load/traffic.js';

/** Three subscribers of one channel, to which one publisher sends bursts of 16 messages. */
export function burstBy(by: Traffic['by']): Traffic {
	return {
		kind: 'traffic',
		channels: 1,
		subscribersPerChannel: 3,
		publishersPerChannel: 1,
		publishersAtOnce: 1,
		by,
		window: 16,
		payloadBytes: 64,
	};
}

/** What a subscriber gets in place of the nth message. */
export type Meddling<Message, Piece> = (message: Message, subscriber: number, nth: number) => Piece[];

/** Changes nothing but what the second subscriber gets for the 30th message. */
export function changingOne<Message, Piece>(
	meddle: (message: Message) => Piece[],
	honest: Meddling<Message, Piece>,
): Meddling<Message, Piece> {
	return (message, subscriber, nth) => (subscriber === 1 && nth === 30 ? meddle(message) : honest(message, subscriber, nth));
}

/** Runs the load for a moment. Rejects if the checker finds anything wrong. */
export function measure(target: Job['target'], work: Traffic): Promise<Measurement> {
	return runTraffic({ target, work, warmUpMs: 20, measureMs: 50 }, work, () => {});
}
