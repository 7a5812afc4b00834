import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { runCommand } from '../support/command.js';
import { handshakeHeaders } from '../support/http.js';
import { metricOf } from '../support/server.js';

/** CI opens a million. */
const channels = Number(process.env.PATHCAST_TEST_CHANNELS ?? 100_000);
const warmUp = channels / 5;

// The server's resident memory settles in the warm-up; what is kept per channel would add hundreds of bytes for each.
const noiseBytes = 4 * 1_048_576;
const bytesPerChannelMax = 8;

test(`${channels} channels opened and freed one after another leave no memory behind`, async (t) => {
	const command = runCommand(t, ['--addr', '127.0.0.1:0', '--mport', '0']);
	const port = await command.port();
	const operatorPort = Number(String((await command.logged('start')).mport).replace(/^.*:/, ''));
	const residentBytes = () => metricOf(operatorPort, 'process_resident_memory_bytes');

	await openAndFree(port, 0, warmUp);
	const before = await residentBytes();
	await openAndFree(port, warmUp, channels);
	const after = await residentBytes();
	assert.equal(await metricOf(operatorPort, 'pathcast_connections_opened_total'), channels);
	assert.equal(await metricOf(operatorPort, 'pathcast_channels'), 0);
	assert.equal(await metricOf(operatorPort, 'pathcast_subscribers'), 0);
	const grownBytes = after - before;
	t.diagnostic(`${before} bytes resident after ${warmUp} channels, ${grownBytes} more after ${channels}`);
	assert.ok(grownBytes < noiseBytes + bytesPerChannelMax * (channels - warmUp), `${grownBytes} bytes were kept`);
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
