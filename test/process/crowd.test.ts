import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from '../support/command.js';
import { countGapless, sendToAll, sendUntilLagging } from '../support/gapless.js';
import { peakBytes } from '../support/process.js';
import { metricOf } from '../support/server.js';
import { type Subscriber, subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const subscribersCount = Number(process.env.TEST_SUBSCRIBERS ?? 2_000);
const stalledCount = subscribersCount / 4;

const backlogBytesMax = 524_288;
// The engine keeps a message or two for each slow subscriber, in a buffer that doubles; later messages are kept once for all of them. The
// rest is Node, and messages on their way to the subscribers that read.
const residentBytesMax = 256 * 1_048_576 + stalledCount * 2 * 65_536 + backlogBytesMax;

const onLinux = { skip: process.platform === 'linux' ? false : 'needs /proc' };

test(
	`of ${subscribersCount} subscribers a quarter stop reading: each of them is cut as slow, the others miss nothing`,
	onLinux,
	async (t) => {
		// Through a UNIX socket, because there the system holds no more than some 200 KB for each of them.
		const path = `${temporaryFolder(t)}/pathcast.sock`;
		const command = runCommand(t, ['--addr', path, '--mport', '0', '--max-backlog', String(backlogBytesMax)]);
		const operatorPort = await command.operatorPort();
		const subscribers: Subscriber[] = [];
		while (subscribers.length < subscribersCount) {
			const some = Array.from({ length: 100 }, () => subscribe(t, `ws+unix:${path}:/room`, { skipUTF8Validation: true }));
			subscribers.push(...(await Promise.all(some)));
		}
		const stalled = subscribers.slice(0, stalledCount);
		const healthy = subscribers.slice(stalledCount);
		for (const subscriber of stalled) subscriber.ws.pause();

		// All of them are looked at before the first has too much.
		let sent = await sendUntilLagging(healthy, stalledCount, operatorPort);
		const slow = () => metricOf(operatorPort, 'pathcast_disconnects_total{reason="slow"}');
		while ((await slow()) < stalledCount) {
			assert.ok(sent < 1_000, 'not disconnected');
			await sendToAll(healthy, sent++);
		}
		for (let i = 0; i < 5; i++) await sendToAll(healthy, sent++);

		assert.equal(await metricOf(operatorPort, 'pathcast_subscribers'), healthy.length);
		for (const subscriber of stalled) subscriber.ws.resume();
		for (const subscriber of stalled) assert.ok((await countGapless(subscriber)) < sent);
		const residentBytes = peakBytes(command.child.pid as number);
		t.diagnostic(`${sent} messages; at most ${Math.round(residentBytes / 1_048_576)} MiB resident`);
		assert.ok(residentBytes < residentBytesMax, `${residentBytes} bytes`);
	},
);
