// The kernel settings, by the real sysctl, in a network of its own, so that they are this machine's no longer than the test.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inOwnNetwork, needsOwnNetwork } from '../support/own-network.js';

const file = fileURLToPath(new URL('../../../deploy/sysctl/60-pathcast.conf', import.meta.url));
const stoppedReader = fileURLToPath(new URL('support/stopped-reader.js', import.meta.url));
test('sysctl takes every kernel setting', needsOwnNetwork(), async () => {
	const settings = readFileSync(file, 'utf8')
		.split('\n')
		.filter((line) => /^[^#]/.test(line))
		.map((line) => line.split(' = ') as [string, string]);
	assert.ok(settings.length > 0);
	const names = settings.map(([name]) => name).join(' ');
	const stdout = await inOwnNetwork(`sysctl --quiet --load=${file} && sysctl --values ${names}`);
	const values = stdout.trim().split('\n');
	assert.deepEqual(
		values.map((value) => value.replaceAll('\t', ' ')),
		settings.map(([, value]) => value),
	);
});

test('with them, the kernel holds no more than some 128 KB for one who does not read', needsOwnNetwork(), async () => {
	const heldBytes = async (before: string) =>
		Number(/held: ([0-9]+)/.exec(await inOwnNetwork(`${before} ${process.execPath} --test ${stoppedReader}`))?.[1]);
	const byDefault = await heldBytes('');
	const withThem = await heldBytes(`sysctl --quiet --load=${file} &&`);
	assert.ok(byDefault > 1_000_000, `${byDefault} bytes by default`);
	// The last message that found room may exceed it.
	assert.ok(withThem > 0 && withThem <= 131_072 + 65_536, `${withThem} bytes`);
});
