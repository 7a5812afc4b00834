// Clients of event streams that are gone without a FIN or a reset, as when their network is cut.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inOwnNetwork, needsOwnNetwork } from '../support/own-network.js';

const vanished = fileURLToPath(new URL('support/vanished.js', import.meta.url));

test(
	'a vanished stream is freed when the kernel gives up sending it a comment, which net.ipv4.tcp_retries2 decides',
	needsOwnNetwork(),
	async (t) => {
		const output = await inOwnNetwork(`sysctl --quiet net.ipv4.tcp_retries2=3 && ${process.execPath} --test ${vanished}`);
		const [, ms] = /freed after ([0-9]+) ms/.exec(output) ?? [];
		t.diagnostic(`${ms} ms`);
		// A comment within four seconds, and three more tries after it.
		assert.ok(Number(ms) < 15_000, output);
	},
);
