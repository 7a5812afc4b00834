// "Never silently skipped", for a reader that is slow and sends whatever it likes. In a network of its own, where a connection can have
// a receive buffer of 4 KiB: what the system holds for a reader would hide most of what the server does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inOwnNetwork, needsOwnNetwork } from '../support/own-network.js';

const script = fileURLToPath(new URL('support/slow-readers.js', import.meta.url));

for (const scheme of ['ws', 'wss']) {
	test(
		`a slow reader gets nothing after a message that it missed, whatever it sends (${scheme})`,
		needsOwnNetwork(),
		async (t) => {
			const output = await inOwnNetwork(`SCHEME=${scheme} ${process.execPath} --test --test-timeout=100000 ${script}`);
			t.diagnostic(output);
			assert.ok(Number(/cut: ([0-9]+)/.exec(output)?.[1]) > 0, 'none was too slow, so this shows nothing');
		},
	);
}
