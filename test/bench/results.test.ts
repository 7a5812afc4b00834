// What the benchmark makes of its rounds, and its README.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { enginesHere, whyNoOlder } from '#bench/engines.js';
import type { Measurement } from '#bench/load/job.js';
import { cpuSeconds, memoryBytes } from '#bench/load/proc.js';
import { Samples } from '#bench/load/stopwatch.js';
import { peers, whyMissing } from '#bench/peers.js';
import { comparisons, figure, matrix, type PeerRounds, rowsOf, spread, table, verdict } from '#bench/results.js';
import { type Scenario, scenarios } from '#bench/scenarios.js';
import { loadEngine } from '#src/engine.js';

const burst = scenarios.find(({ id }) => id === 'burst-1000') as Scenario;
const idle = scenarios.find(({ id }) => id === 'idle') as Scenario;

const measured = (amount: number, serverCpuSeconds = 1, loadCpuShare = 0.5): Measurement => {
	return { amount, wallSeconds: 2, serverCpuSeconds, loadCpuShare, latency: { p50: 1, p99: 2, p999: 3 } };
};
const rounds = (peer: string, ...amounts: number[]): PeerRounds => ({ peer, rounds: amounts.map((amount) => measured(amount)) });

test('the median of an even number of rounds lies between the two in the middle, and rounds without a figure do not count', () => {
	assert.deepEqual(spread([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
	assert.deepEqual(spread([3, Number.NaN, 1, 2, Number.POSITIVE_INFINITY]), { median: 2, min: 1, max: 3 });
	assert.equal(spread([]), undefined);
});

test('ratios are taken round by round, so that a machine that slows down for all changes none', () => {
	const [pathcast, bun] = rowsOf(burst, [rounds('pathcast', 100, 50, 10), rounds('Bun', 50, 25, 5)]);
	assert.equal(pathcast?.value?.median, 50);
	assert.equal(pathcast?.pathcastRatio, undefined);
	assert.deepEqual(bun?.pathcastRatio, { median: 2, min: 2, max: 2 });
});

test('where less is better, a ratio above 1 still means that pathcast is ahead', () => {
	const rows = rowsOf(idle, [rounds('pathcast', 2_000), rounds('ws', 8_000)]);
	assert.equal(rows[1]?.pathcastRatio?.median, 4);
	assert.match(verdict(idle, rows), /^pathcast leads: pathcast is 4\.00 x the best other peer \(ws\)\./);
});

test('one failed round leaves a peer without a figure, and the table and the verdict say why', () => {
	const failing: PeerRounds = { peer: 'nchan', rounds: [measured(900), { failed: 'lost: 3 deliveries' }] };
	const rows = rowsOf(burst, [rounds('pathcast', 100, 100), failing, rounds('ws', 50, 50)]);
	assert.deepEqual(rows[1], { peer: 'nchan', failed: 'lost: 3 deliveries (1 of 2 rounds)' });
	assert.match(table(burst, rows), /nchan +FAILED: lost: 3 deliveries \(1 of 2 rounds\)/);
	assert.match(verdict(burst, rows), /best other peer \(ws\)/);
	assert.match(matrix([{ scenario: burst, rows }]), /^\| burst-1000 \| failed \| 2\.00 \|$/m);
	const ownFailure = rowsOf(burst, [{ peer: 'pathcast', rounds: failing.rounds }, rounds('ws', 50, 50)]);
	assert.match(verdict(burst, ownFailure), /^pathcast FAILED: lost/);
	assert.match(matrix([{ scenario: burst, rows: ownFailure }]), /^\| burst-1000: pathcast FAILED \| - \|$/m);
});

test('a peer that is not installed is listed with the remedy', () => {
	const rows = rowsOf(burst, [
		rounds('pathcast', 100),
		{ peer: 'nchan', rounds: [], missing: 'not installed: apt-get install it' },
	]);
	assert.match(table(burst, rows), /nchan +not installed: apt-get install it/);
	const [pathcast] = peers;
	assert.ok(pathcast);
	const needs = [{ file: '/nowhere/at/all', remedy: 'apt-get install it' }];
	assert.equal(whyMissing({ ...pathcast, needs }), 'not installed: apt-get install it');
	assert.equal(whyMissing(pathcast), undefined);
});

test('a server whose CPU time is not known has its other figures all the same', () => {
	const rows = rowsOf(burst, [rounds('pathcast', 100), { peer: 'far', rounds: [measured(100, 0)] }]);
	assert.equal(rows[1]?.value, undefined);
	assert.match(table(burst, rows), /far +\? +50\.0 /);
});

test('the verdict names whoever is ahead, and holds pathcast against the better of the bare engines', () => {
	const rows = rowsOf(burst, [
		rounds('pathcast', 80),
		rounds('engine handler', 20),
		rounds('engine deferred', 100),
		rounds('Bun', 90),
	]);
	assert.equal(verdict(burst, rows), 'Bun LEADS: pathcast is 0.89 x the best other peer (Bun). Against the bare engine: 0.80 x.');
});

test('a POST is held against the bare engine without and with the checks', () => {
	const rows = rowsOf(burst, [
		rounds('pathcast', 80),
		rounds('engine handler', 100),
		rounds('engine handler checked', 40),
		rounds('engine deferred checked', 64),
	]);
	const words = 'Against the bare engine: 0.80 x. Against the bare engine with the same checks: 1.25 x.';
	assert.equal(verdict(burst, rows), `No other peer finished. ${words}`);
});

test('a bare engine of the older build is held against pathcast on it, and neither is a rival', () => {
	const rows = rowsOf(burst, [
		rounds('pathcast', 80),
		rounds('engine handler', 100),
		rounds('pathcast (older engine)', 60),
		rounds('engine handler (older engine)', 120),
		rounds('ws', 40),
	]);
	assert.deepEqual(
		rows.map(({ pathcastRatio }) => pathcastRatio?.median),
		[undefined, 0.8, 80 / 60, 0.5, 2],
	);
	const words = 'Against the bare engine: 0.80 x. The older engine, pathcast on it against the bare one: 0.50 x.';
	assert.equal(verdict(burst, rows), `pathcast leads: pathcast is 2.00 x the best other peer (ws). ${words}`);
});

test('the older engine is measured where it loads and another serves; elsewhere a line says why not', () => {
	assert.equal(whyNoOlder({ chosen: '20.57.0', older: '20.30.0' }), undefined);
	assert.match(
		whyNoOlder({ chosen: '20.30.0', older: '20.30.0' }) ?? '',
		/^the older engine, 20\.30\.0, is the one that pathcast/,
	);
	assert.match(whyNoOlder({ chosen: '20.57.0', older: undefined }) ?? '', /^the older engine does not load on Node \d/);
	const { chosen, older } = enginesHere();
	assert.equal(chosen, loadEngine().version);
	const isBuilt = process.versions.modules === '115';
	assert.match(older ?? 'none', isBuilt ? /^20\.30\.0-unofficial\.0$/ : /^none$/);
});

test('rounds on both sides of 1 make a level match', () => {
	const rows = rowsOf(burst, [rounds('pathcast', 99, 101, 102), rounds('Bun', 100, 100, 100)]);
	assert.match(verdict(burst, rows), /^pathcast and Bun are level: pathcast is 1\.01 x/);
	assert.match(table(burst, rows), /1\.01 x \(0\.99 to 1\.02\)/);
});

test('memory that cannot be seen wins nothing', () => {
	const rows = rowsOf(idle, [rounds('pathcast', 2_000), rounds('far', 0), rounds('ws', 8_000)]);
	assert.match(verdict(idle, rows), /best other peer \(ws\)/);
	assert.match(table(idle, rows), /far +\?/);
});

test('what crowds and neighbours cost is told where both are measured', () => {
	const own = (id: string, amount: number) => {
		const scenario = scenarios.find((candidate) => candidate.id === id) as Scenario;
		return { scenario, rows: rowsOf(scenario, [rounds('pathcast', amount)]) };
	};
	assert.deepEqual(comparisons([own('burst-100', 600), own('burst-10000', 300), own('single-100', 5)]), [
		'A delivery to 10,000 subscribers costs, against one to 100, in bursts: 2.00 x',
	]);
});

test('what several channels on a websocket cost is told against one channel each', () => {
	const scenario = scenarios.find(({ id }) => id === 'groups-burst') as Scenario;
	const rows = rowsOf(scenario, [rounds('pathcast', 100), rounds('pathcast --groups', 80)]);
	assert.deepEqual(comparisons([{ scenario, rows }]), [
		'Deliveries per CPU-second of groups-burst over one websocket for all channels are, against one for each: 0.80 x',
	]);
	assert.equal(verdict(scenario, rows), 'No other peer finished.');
});

test('a load process that was the limit is marked', () => {
	const rows = rowsOf(burst, [{ peer: 'pathcast', rounds: [measured(100, 1, 0.95)] }, rounds('ws', 10)]);
	const [, pathcast, ws] = table(burst, rows).split('\n');
	assert.match(pathcast ?? '', /95 % !/);
	assert.doesNotMatch(ws ?? '', /!/);
});

test('figures have three digits', () => {
	assert.deepEqual([7_524_000, 36_900, 1_234.5, 12.345, 0.123_45].map(figure), ['7.52M', '36.9K', '1235', '12.3', '0.123']);
	assert.equal(figure(999_999), '1.00M');
});

test('percentiles are those of every sample', () => {
	const samples = new Samples();
	for (let i = 100_000; i >= 1; i--) samples.add(i);
	assert.deepEqual(samples.percentiles(), { p50: 50_001, p99: 99_001, p999: 99_901 });
	samples.clear();
	samples.add(7);
	assert.deepEqual(samples.percentiles(), { p50: 7, p99: 7, p999: 7 });
});

test("a process's CPU time and memory are those that the kernel tells", () => {
	const before = cpuSeconds([process.pid]);
	const start = process.cpuUsage();
	while (process.cpuUsage(start).user + process.cpuUsage(start).system < 60_000);
	const used = cpuSeconds([process.pid]) - before;
	assert.ok(used >= 0.059 && used < 1, `${used} s`);
	const memory = memoryBytes([process.pid]);
	assert.ok(memory > 10e6 && memory <= process.memoryUsage().rss * 1.1, `${memory} bytes`);
});

test('the README lists every scenario with its question, in order', () => {
	const readme = readFileSync(new URL('../../../bench/README.md', import.meta.url), 'utf8');
	const lines = [...readme.matchAll(/^\| `([a-z0-9-]+)` \| (.*) \|$/gm)].map(([, id, question]) => ({ id, question }));
	assert.deepEqual(
		lines,
		scenarios.map(({ id, question }) => ({ id, question })),
	);
});
