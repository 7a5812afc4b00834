// What connections cost: to make, to make and end, and to keep. See Connects, Churn and Idle in job.ts.
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { type Connection, each, subscribe } from './connection.js';
import { clientHeader, dialects } from './dialect.js';
import type { Churn, Connects, Idle, Job, Measurement } from './job.js';
import { memoryBytes } from './proc.js';
import { Stopwatch } from './stopwatch.js';

const connectsAtOnce = 100;
/** Until the server's memory has come to rest. */
const restMs = 1_000;
const pathCount = 1_000;

/** Opens `count` websockets and drops them all, over and over. Dropping is not measured. */
export async function runConnects({ target, measureMs }: Job, work: Connects, onMeasuring: () => void): Promise<Measurement> {
	const dialect = dialects[target.dialect];
	const total = { amount: 0, wallSeconds: 0, serverCpuSeconds: 0, loadCpuSeconds: 0 };
	let isWarm = false;
	while (total.wallSeconds * 1_000 < measureMs) {
		const watch = new Stopwatch(target.pids);
		const connections = await each(work.count, work.atOnce, (index) => subscribe(target, dialect, `/bench/${index % pathCount}`));
		const { wallSeconds, serverCpuSeconds, loadCpuShare } = watch.stop(work.count);
		await drop(connections);
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

/** With a reset, so that no port of this machine waits out a minute. */
async function drop(connections: Connection[]): Promise<void> {
	const closed = connections.map((connection) => {
		connection.onGone = () => {};
		return once(connection.socket, 'close');
	});
	for (const { socket } of connections) socket.resetAndDestroy();
	await Promise.all(closed);
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
		const watch = new Stopwatch(target.pids);
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

/** Bytes per connection: what `count` more of them add to the server's memory. */
export async function runIdle({ target }: Job, work: Idle, onMeasuring: () => void): Promise<Measurement> {
	const dialect = dialects[target.dialect];
	const watch = new Stopwatch(target.pids);
	await each(work.base, connectsAtOnce, (index) => subscribe(target, dialect, `/bench/base/${index}`));
	await wait(restMs);
	onMeasuring();
	const before = memoryBytes(target.pids);
	const connections = await each(work.count, connectsAtOnce, (index) => subscribe(target, dialect, `/bench/${index}`));
	let cut = 0;
	for (const connection of connections)
		connection.onGone = () => {
			cut++;
		};
	await wait(restMs);
	if (cut > 0) throw new Error(`${cut} idle connections were cut`);
	return watch.stop((memoryBytes(target.pids) - before) / work.count);
}
