// What connections cost: to make, to make and end, and to keep. See Connects, Churn and Idle in job.ts.
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { type Connection, each, subscribe } from './connection.js';
import { clientHeader, dialects } from './dialect.js';
import type { Churn, Connects, Idle, Job, Measurement, Stalled } from './job.js';
import { cpuSeconds, memoryBytes } from './proc.js';
import { Stopwatch } from './stopwatch.js';

const connectsAtOnce = 100;
/** Until the server's memory has come to rest. */
export const restMs = 1_000;
const pathCount = 1_000;

/** Opens `count` websockets and drops them all, over and over. Dropping is not measured, nor what the server still does of it. */
export async function runConnects({ target, measureMs }: Job, work: Connects, onMeasuring: () => void): Promise<Measurement> {
	const dialect = dialects[target.dialect];
	const total = { amount: 0, wallSeconds: 0, serverCpuSeconds: 0, loadCpuSeconds: 0 };
	let isWarm = false;
	while (total.wallSeconds * 1_000 < measureMs) {
		const watch = new Stopwatch(target);
		const open = await openAll(work.count, work.atOnce, (index) => subscribe(target, dialect, `/bench/${index % pathCount}`));
		const { wallSeconds, serverCpuSeconds, loadCpuShare } = watch.stop(work.count);
		open.check();
		await drop(open.connections);
		await atRest(target.pids);
		// The first turn is the warm-up.
		if (isWarm) {
			total.amount += work.count;
			total.wallSeconds += wallSeconds;
			total.serverCpuSeconds += serverCpuSeconds;
			total.loadCpuSeconds += loadCpuShare * wallSeconds;
		} else {
			isWarm = true;
			onMeasuring();
		}
	}
	const { amount, wallSeconds, serverCpuSeconds, loadCpuSeconds } = total;
	return { amount, wallSeconds, serverCpuSeconds, loadCpuShare: loadCpuSeconds / wallSeconds };
}

export type Open = { readonly connections: readonly Connection[]; check(): void };

/** Opens websockets; `check` throws if any of them was cut since. */
export async function openAll(count: number, atOnce: number, open: (index: number) => Promise<Connection>): Promise<Open> {
	let cut = 0;
	const connections = await each(count, atOnce, async (index) => {
		const connection = await open(index);
		connection.onGone = () => {
			cut++;
		};
		return connection;
	});
	return {
		connections,
		check() {
			if (cut > 0) throw new Error(`${cut} of ${count} idle connections were cut`);
		},
	};
}

/** With a reset, so that no port of this machine waits out a minute. */
async function drop(connections: readonly Connection[]): Promise<void> {
	const closed = connections.map((connection) => {
		connection.onGone = () => {};
		return once(connection.socket, 'close');
	});
	for (const { socket } of connections) socket.resetAndDestroy();
	await Promise.all(closed);
}

/** Until the server has nothing to do any more, for two seconds at most. */
async function atRest(pids: readonly number[]): Promise<void> {
	let before = Number.NEGATIVE_INFINITY;
	for (let looks = 0; looks < 40; looks++) {
		const now = cpuSeconds(pids);
		if (now - before < 0.000_5) return;
		before = now;
		await wait(50);
	}
}

export async function runChurn({ target, warmUpMs, measureMs }: Job, work: Churn, onMeasuring: () => void): Promise<Measurement> {
	let visits = 0;
	let isOver = false;
	const visiting = Promise.all(
		Array.from({ length: work.atOnce }, async (_, visitor) => {
			for (let nth = 0; !isOver; nth++) {
				await visit(target, `/bench/${visitor}/${nth}`);
				visits++;
			}
		}),
	);
	const measuring = (async () => {
		await wait(warmUpMs);
		const before = visits;
		const watch = new Stopwatch(target);
		onMeasuring();
		await wait(measureMs);
		const measurement = watch.stop(visits - before);
		isOver = true;
		return measurement;
	})();
	await Promise.race([visiting, measuring]);
	const measurement = await measuring;
	await visiting;
	return measurement;
}

const hello = Buffer.from('hello');
const helloFrame = Buffer.concat([clientHeader(0x81, hello.length), hello]);
// 1000, "normal" (RFC 6455, section 7.4.1).
const closeFrame = Buffer.concat([clientHeader(0x88, 2), Buffer.from([0x03, 0xe8])]);

async function visit(target: Job['target'], path: string): Promise<void> {
	const connection = await subscribe(target, dialects.websocket, path);
	await new Promise<void>((resolve, reject) => {
		let received = Buffer.alloc(0);
		connection.onGone = (why) => reject(new Error(`a visitor was cut: ${why}`));
		connection.onBytes = (bytes) => {
			received = Buffer.concat([received, bytes]);
			const echoBytes = 2 + hello.length;
			if (received.length < echoBytes) return;
			if (!received.subarray(2, echoBytes).equals(hello)) reject(new Error('corrupt: a visitor received something else'));
			if (received.length === echoBytes) connection.socket.write(closeFrame);
			// The answer to the close frame.
			else if (received[echoBytes] === 0x88) {
				connection.onGone = () => resolve();
				connection.socket.resetAndDestroy();
			}
		};
		connection.socket.write(helloFrame);
	});
}

/** Opens subscribers of the channel that Traffic knows as its first, and reads nothing that is sent to them. Never resolves. */
export async function runStalled({ target }: Job, work: Stalled, onMeasuring: () => void): Promise<never> {
	const { connections } = await openAll(work.count, connectsAtOnce, () =>
		subscribe(target, dialects[target.dialect], '/bench/0'),
	);
	for (const { socket } of connections) socket.pause();
	onMeasuring();
	// Also when all of them have been cut.
	setInterval(() => {}, 60_000);
	return new Promise(() => {});
}

/** Bytes per connection: what `count` more of them add to the server's memory. The first ones bring it to where it stays. */
export async function runIdle({ target }: Job, work: Idle, onMeasuring: () => void): Promise<Measurement> {
	const dialect = dialects[target.dialect];
	const watch = new Stopwatch(target);
	const first = await openAll(work.base, connectsAtOnce, (index) => subscribe(target, dialect, `/bench/base/${index}`));
	await wait(restMs);
	onMeasuring();
	const before = memoryBytes(target.pids);
	const more = await openAll(work.count, connectsAtOnce, (index) => subscribe(target, dialect, `/bench/${index}`));
	await wait(restMs);
	first.check();
	more.check();
	const bytes = memoryBytes(target.pids) - before;
	if (target.pids.length > 0 && bytes <= 0) throw new Error('the memory did not grow: something else gave some back meanwhile');
	return watch.stop(bytes / work.count);
}
