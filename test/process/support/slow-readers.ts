// Run by gap.test.ts in a network of its own, with the scheme: slow readers, one after another, of thousands of messages published at once.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { numbered } from '../../support/gapless.js';
import { startGapServer } from './gap-server.js';
import type { Received } from './slow-reader.js';

const atOnce = 3_000;
const messageBytes = 4_096;
const roundsOfEach = 3;
const readerFile = fileURLToPath(new URL('slow-reader.js', import.meta.url));

test('slow readers', async (t) => {
	const server = await startGapServer(t, 65_536, messageBytes);
	const texts = [...Array.from({ length: atOnce }, (_, i) => numbered(i, messageBytes)), 'end'];
	let cut = 0;
	for (const sends of ['nothing', 'pongs', 'pings', 'keepalives', 'fragments']) {
		for (let round = 0; round < roundsOfEach; round++) {
			const path = `/${sends}-${round}`;
			const reader = fork(readerFile, [server.url(path), sends]);
			t.after(() => reader.kill());
			await once(reader, 'message');
			const ended = once(reader, 'message');
			await server.post(path, texts);
			const [received] = (await ended) as [Received];
			t.diagnostic(`${sends}: ${JSON.stringify(received)}`);
			assert.equal(received.afterGap, 0, `${sends}: ${received.afterGap} messages after a gap`);
			assert.ok(!received.hasEnd || received.messages === atOnce);
			if (!received.hasEnd) cut++;
		}
	}
	t.diagnostic(`cut: ${cut}`);
});
