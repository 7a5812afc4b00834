import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { runCommand } from '../support/command.js';
import { handshakeHeaders } from '../support/http.js';
import { metricOf } from '../support/server.js';

/** CI opens a million. */
const channels = Number(process.env.TEST_CHANNELS ?? 400_000);
const warmUp = channels / 5;

// After a collection the heap holds only what is reachable; what the process holds beside the heap is the engine's. Either
// settles in the warm-up, while anything kept of each channel would add tens or hundreds of bytes for each.
const noiseBytes = { heapUsed: 1_048_576, native: 4 * 1_048_576 };
const bytesPerChannelMax = 4;

const reportsMemory = `process.on('SIGUSR2', () => {
	gc();
	const { rss, heapTotal, heapUsed } = process.memoryUsage();
	process.stdout.write(JSON.stringify({ event: 'memory ' + ++globalThis.reports, heapUsed, native: rss - heapTotal }) + '\\n');
});
globalThis.reports = 0;`;

test(`${channels} channels opened and freed one after another leave no memory behind`, async (t) => {
	// V8's young generation keeps one size: pages that it gives up stay resident for a while, and would count as the engine's.
	const youngGeneration = ['--min-semi-space-size=16', '--max-semi-space-size=16'];
	// Without helper threads, which free pages and compile at their leisure: on a busy machine that came to 5 MB and more.
	const nodeArgs = [
		...youngGeneration,
		'--single-threaded',
		'--expose-gc',
		'--import',
		`data:text/javascript,${encodeURIComponent(reportsMemory)}`,
	];
	const command = runCommand(t, ['--addr', '127.0.0.1:0', '--mport', '0'], nodeArgs);
	const port = await command.port();
	const operatorPort = await command.operatorPort();

	await openAndFree(port, 0, warmUp);
	command.child.kill('SIGUSR2');
	const before = await command.logged('memory 1');
	await openAndFree(port, warmUp, channels);
	assert.equal(await metricOf(operatorPort, 'pathcast_connections_opened_total'), channels);
	assert.equal(await metricOf(operatorPort, 'pathcast_channels'), 0);
	assert.equal(await metricOf(operatorPort, 'pathcast_subscribers'), 0);
	command.child.kill('SIGUSR2');
	const after = await command.logged('memory 2');

	for (const kind of ['heapUsed', 'native'] as const) {
		const grownBytes = Number(after[kind]) - Number(before[kind]);
		t.diagnostic(`${kind}: ${before[kind]} bytes after ${warmUp} channels, ${grownBytes} more after ${channels}`);
		assert.ok(
			grownBytes < noiseBytes[kind] + bytesPerChannelMax * (channels - warmUp),
			`${grownBytes} bytes were kept (${kind})`,
		);
	}
});

/** Subscribes to the channels /channel/from … one after another, some at a time, and leaves each by a reset. */
async function openAndFree(port: number, from: number, to: number): Promise<void> {
	let next = from;
	const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
	async function openNext(): Promise<void> {
		while (next < to) {
			const path = `/channel/${next++}`;
			await new Promise<void>((resolve, reject) => {
				const socket = connect(port, '127.0.0.1', () =>
					socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`),
				);
				// A reset leaves no port in TIME_WAIT, of which there are too few.
				socket.once('data', () => socket.resetAndDestroy());
				socket.once('error', reject);
				socket.once('close', () => resolve());
			});
		}
	}
	await Promise.all(Array.from({ length: 64 }, openNext));
}
