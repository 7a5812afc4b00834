// What a channel costs that is open and silent: see Hold in job.ts.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { subscribe } from './connection.js';
import { openAll, restMs } from './connections.js';
import { dialects } from './dialect.js';
import type { Hold, Job, Measurement } from './job.js';
import { memoryBytes } from './proc.js';
import { Stopwatch } from './stopwatch.js';

const connectsAtOnce = 4;

/** Bytes per channel, in the nodes and in Redis, and how fast the channels are opened. The first ones bring the memory to where it stays. */
export async function runHold({ target }: Job, work: Hold, onMeasuring: () => void): Promise<Measurement> {
	const dialect = dialects[target.dialect];
	const ports = [target.port, ...(target.otherPorts ?? [])];
	const open = (name: string, channels: number) =>
		openAll(Math.ceil(channels / work.perConnection), connectsAtOnce, async (index) => {
			const paths = Array.from({ length: work.perConnection }, (_, nth) => `/bench/${name}${index * work.perConnection + nth}`);
			const connection = await subscribe({ ...target, port: ports[index % ports.length] as number }, dialect, ...paths);
			// Nothing but pings comes, each in a read of its own.
			connection.onBytes = (bytes) => {
				const answer = dialect.answer(bytes);
				if (answer !== undefined) connection.socket.write(answer);
			};
			return connection;
		});
	const first = await open('base/', work.base);
	await wait(restMs);
	onMeasuring();
	const before = await memory();
	const watch = new Stopwatch(target);
	const more = await open('', work.count);
	const { wallSeconds, ...measured } = watch.stop(0);
	await wait(restMs);
	first.check();
	more.check();
	const after = await memory();
	if (after.nodes <= before.nodes) throw new Error('the memory did not grow: something else gave some back meanwhile');
	return {
		...measured,
		wallSeconds,
		amount: (after.nodes - before.nodes) / work.count,
		openedPerSecond: work.count / wallSeconds,
		...(target.relay !== undefined && { relayBytes: (after.redis - before.redis) / work.count }),
	};

	async function memory(): Promise<{ nodes: number; redis: number }> {
		return { nodes: memoryBytes(target.pids), redis: target.relay === undefined ? 0 : await usedMemory(target.relay.port) };
	}
}

/** What Redis says that it has allocated, in bytes. */
async function usedMemory(port: number): Promise<number> {
	const socket = connect({ host: '127.0.0.1', port });
	socket.write('INFO memory\r\nQUIT\r\n');
	let answer = '';
	socket.on('data', (chunk) => {
		answer += chunk.toString('latin1');
	});
	await once(socket, 'close');
	const bytes = Number(/^used_memory:(\d+)/m.exec(answer)?.[1]);
	if (!(bytes > 0)) throw new Error('Redis does not say how much memory it uses');
	return bytes;
}
