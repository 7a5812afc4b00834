// "Never silently skipped", for a reader that is slow and sends whatever it likes. In a network of its own, where a connection can have
// a receive buffer of 4 KiB: what the system holds for a reader would hide most of what the server does.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inOwnNetwork, needsOwnNetwork } from '../support/own-network.js';
import { schemes } from './support/gap-server.js';

const deliveries = Number(process.env.TEST_DELIVERIES ?? 50_000);

for (const scheme of schemes) {
	test(
		`a slow reader gets nothing after a message that it missed, whatever it sends (${scheme})`,
		needsOwnNetwork(),
		async (t) => {
			const output = await outputOf('slow-readers.js', `SCHEME=${scheme}`, 100);
			t.diagnostic(output);
			assert.ok(Number(/cut: ([0-9]+)/.exec(output)?.[1]) > 0, 'none was too slow, so this shows nothing');
		},
	);

	test(`random readers of random messages get one order without a gap (${scheme})`, needsOwnNetwork(), async (t) => {
		const wanted = Math.ceil(deliveries / schemes.length);
		const output = await outputOf('gap-fuzz.js', `SCHEME=${scheme} DELIVERIES=${wanted}`, 100 + wanted / 100);
		for (const line of output.match(/TEST_SEED=.*|counts: .*/g) ?? []) t.diagnostic(line);
		const counts = JSON.parse(/counts: (.*)/.exec(output)?.[1] ?? '{}');
		assert.ok(counts.deliveries >= wanted);
		assert.ok(counts.cut >= wanted / 20_000, 'too few were too slow to show anything');
	});
}

/** Runs a script of tests in a network of its own, and gives its output. Rejects with the output if a test fails. */
async function outputOf(script: string, variables: string, secondsMax: number): Promise<string> {
	const file = fileURLToPath(new URL(`support/${script}`, import.meta.url));
	const timeout = `--test-timeout=${Math.ceil(secondsMax) * 1_000}`;
	const run = inOwnNetwork(`${variables} ${process.execPath} --test --test-reporter=tap ${timeout} ${file}`);
	// The output of a failure has the seed and the gap.
	return run.catch((error) => Promise.reject(new Error(error.stdout)));
}
