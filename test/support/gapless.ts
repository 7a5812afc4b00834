// Messages that begin with 0, 1, 2 …, so that a gap shows.
import assert from 'node:assert/strict';
import { metricOf } from './server.js';
import type { Subscriber } from './subscriber.js';

/** The text of message number `i`, of that length. */
export function numbered(i: number, bytes: number): string {
	return `${i} `.padEnd(bytes, 'x');
}

/** Reads numbered messages until the connection ends without a close frame, and gives their number. */
export async function countGapless(subscriber: Subscriber): Promise<number> {
	let seen = 0;
	try {
		for (; ; seen++) assert.equal((await subscriber.nextText()).split(' ')[0], String(seen));
	} catch (error) {
		assert.match(String(error), /closed with 1006/);
	}
	return seen;
}

/**
 * Sends numbered messages of 64 KB, each awaited by all who read, until so many others were found to lag. Gives how many were
 * sent: the number of the next one.
 */
export async function sendUntilLagging(readers: readonly Subscriber[], lagging: number, operatorPort: number): Promise<number> {
	const now = () => metricOf(operatorPort, 'pathcast_lagging_subscribers');
	const before = () => metricOf(operatorPort, 'pathcast_disconnects_total{reason="slow"}');
	let sent = 0;
	while ((await now()) + (await before()) < lagging) {
		assert.ok(sent < 1_000, 'nobody lags');
		await sendToAll(readers, sent++);
	}
	return sent;
}

/** Sends message number `i`, of 64 KB, and waits until all who read have it. */
export async function sendToAll(readers: readonly Subscriber[], i: number): Promise<void> {
	const text = numbered(i, 64_000);
	readers[0]?.send(text);
	for (const { data } of await Promise.all(readers.map((reader) => reader.next()))) {
		assert.deepEqual([data.length, data.subarray(0, 10).toString()], [64_000, text.slice(0, 10)]);
	}
}
