import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { anyPort, runCommand } from '../support/command.js';
import { handshakeHeaders } from '../support/http.js';
import { type Memory, memoryReader, memoryReporting } from '../support/process.js';
import { metricOf } from '../support/server.js';

/** CI opens a million. */
const channels = Number(process.env.TEST_CHANNELS ?? 400_000);
// The first is to warm up.
const stretches = 5;
const stretch = channels / stretches;

// After a collection the heap holds only what is reachable; what the process holds beside the heap is the engine's. Anything kept of each
// channel would add tens or hundreds of bytes for each, in every stretch. Either may jump by some MB in one of them: Node 22 throws unused
// code away, and compiles it again, after some hundred thousand channels, and its native memory stays level only after a million.
const noiseBytes = { heapUsed: 524_288, native: 1_048_576 };
const bytesPerChannelMax = 4;

test(`${channels} channels opened and freed one after another leave no memory behind`, async (t) => {
	// V8's young generation keeps one size: pages that it gives up stay resident for a while, and would count as the engine's.
	const youngGeneration = ['--min-semi-space-size=16', '--max-semi-space-size=16'];
	// Without helper threads, which free pages and compile at their leisure: on a busy machine that came to 5 MB and more.
	const command = runCommand(t, anyPort, [...youngGeneration, '--single-threaded', ...memoryReporting]);
	const readMemory = memoryReader(command);
	const port = await command.port();
	const operatorPort = await command.operatorPort();

	const reports: Memory[] = [];
	for (let i = 0; i < stretches; i++) {
		await openAndFree(port, i * stretch, (i + 1) * stretch);
		reports.push(await readMemory());
	}
	assert.equal(await metricOf(operatorPort, 'pathcast_connections_opened_total'), channels);
	assert.equal(await metricOf(operatorPort, 'pathcast_channels'), 0);
	assert.equal(await metricOf(operatorPort, 'pathcast_subscribers'), 0);

	for (const kind of ['heapUsed', 'native'] as const) {
		const bytes = reports.map((report) => report[kind]);
		t.diagnostic(`${kind} after each ${stretch} channels: ${bytes.join(', ')} bytes`);
		const grown = bytes.slice(1).map((now, i) => now - (bytes[i] ?? 0));
		const typical = median(grown);
		assert.ok(typical < noiseBytes[kind] + bytesPerChannelMax * stretch, `${typical} bytes were kept of a stretch (${kind})`);
	}
});

function median(numbers: readonly number[]): number {
	const sorted = [...numbers].sort((one, other) => one - other);
	const middle = sorted.slice(Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2) + 1);
	return middle.reduce((sum, number) => sum + number, 0) / middle.length;
}

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
