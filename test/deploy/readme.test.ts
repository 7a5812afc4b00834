// Holds deploy/README.md to what it speaks of: its files, the bench's results, the engine's pings, our options.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { readOptions } from '#src/options/reading.js';
import { optionTable } from '#src/options/table.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const root = new URL('../../../', import.meta.url);
const readme = readFileSync(new URL('deploy/README.md', root), 'utf8');

type Result = {
	readonly peer: string;
	readonly rounds: readonly { readonly amount: number; readonly serverCpuSeconds: number }[];
};

/** The median of pathcast's rounds in a scenario of the bench. */
function measured(scenario: string, figure: (round: Result['rounds'][number]) => number): number {
	const { results } = JSON.parse(readFileSync(new URL(`bench/results/${scenario}.json`, root), 'utf8')) as { results: Result[] };
	const rounds = results.find(({ peer }) => peer === 'pathcast')?.rounds ?? [];
	const figures = rounds.map(figure).sort((a, b) => a - b);
	const [low = Number.NaN, high = Number.NaN] = [figures[(figures.length - 1) >> 1], figures[figures.length >> 1]];
	return (low + high) / 2;
}

test('every file in deploy is spoken of, and every file that is spoken of is there', () => {
	const files = readdirSync(new URL('deploy/', root), { recursive: true, encoding: 'utf8' }).filter(
		(file) => file !== 'README.md' && statSync(new URL(`deploy/${file}`, root)).isFile(),
	);
	assert.ok(files.length >= 7);
	for (const file of files) assert.ok(readme.includes(file.replace(/^prometheus\/(alerts\.test\.yml)$/, '$1')), file);
	for (const [, file = ''] of readme.matchAll(/`((?:nginx|haproxy|systemd|logrotate|prometheus|grafana)\/[^`]+|\w+\.yaml)`/g)) {
		assert.ok(files.includes(file), file);
	}
});

test('the figures of its table of sizes are medians of the results of the bench', () => {
	const section = /^## Sizing$(.*?)^## /ms.exec(readme)?.[1] ?? '';
	const rows = [...section.matchAll(/^\| [^|]+ \| ([0-9,]+) \| `([\w-]+)` \|$/gm)];
	assert.ok(rows.length >= 10);
	for (const [, shown = '', scenario = ''] of rows) {
		const median = measured(scenario, ({ amount, serverCpuSeconds }) => amount / serverCpuSeconds);
		assert.equal(Number(shown.replaceAll(',', '')), Number(median.toPrecision(3)), scenario);
	}
	const [, bytes = ''] = /([0-9,]+) bytes for each idle websocket on a channel of its own \(`idle`\)/.exec(section) ?? [];
	assert.equal(Number(bytes.replaceAll(',', '')), Math.round(measured('idle', ({ amount }) => amount)));
});

test('an idle websocket is pinged as early as its table of time-outs says', async (t) => {
	const [, cells = ''] = /^\| a ping after \|(.*)\|$/m.exec(readme) ?? [];
	assert.equal(cells.split('|')[0]?.trim(), '4 s');
	assert.match(readme, new RegExp(`^\\| \`--ping-timeout\` \\| 8s \\|.*\\*\\*${optionTable.pingTimeout.default}\\*\\*`, 'm'));
	const server = await startTestServer(t, '--ping-timeout', '8s');
	const { ws } = await subscribe(t, server.ws('/room'));
	const opened = performance.now();
	await once(ws, 'ping');
	const seconds = (performance.now() - opened) / 1_000;
	// The engine's clock ticks every four seconds, for all sockets alike.
	assert.ok(seconds > 2 && seconds < 6, `${seconds} s`);
});

test('the flags of its sample for Kubernetes start a server, and end within the time that it grants', () => {
	const [, list = ''] = /^ +args: (\[.*\])$/m.exec(readme) ?? [];
	const options = readOptions(JSON.parse(list), {}, 'test');
	assert.ok(!('text' in options));
	const [, seconds = ''] = /^terminationGracePeriodSeconds: ([0-9]+)$/m.exec(readme) ?? [];
	assert.ok(Number(seconds) > options.drainDelay + options.drain + 11);
	const [, probed = ''] = /readinessProbe:.* port: ([0-9]+)/.exec(readme) ?? [];
	assert.ok(options.mport !== 'off' && options.mport.port === Number(probed) && options.mport.host !== '127.0.0.1');
	const [, memory = ''] = /memory: ([0-9]+)Mi/.exec(readme) ?? [];
	assert.ok(options.memoryBudget < Number(memory) * 1_048_576);
});
