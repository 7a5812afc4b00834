// Loads servers for as long as the soak takes, and states the slope of their memory and their descriptors.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { anyPort, runCommand } from '../../support/command.js';
import { descriptorsOf, memoryReader, memoryReporting } from '../../support/process.js';
import { seededRandom } from '../../support/random.js';
import { metricOf } from '../../support/server.js';
import { meanOf, sumOf } from '../support/line.js';
import { slopeMinutesMin, soakMinutes } from '../support/torture.js';
import { Load } from './load.js';
import { type Sample, slopeOf } from './slope.js';

/** Of the time, the first third warms the server up: its heap finds its size. */
const warmUpShare = 1 / 3;
const samples = 36;
/** V8 compiles more and more for hours, and keeps its code on the heap: a megabyte an hour, in which a leak could hide. */
const withoutCompilers = ['--no-opt', '--no-maglev', '--no-sparkplug'];
const growthMaxMb = 64;
const megabyte = 1_000_000;

/** Loads one server for each list of flags. Gives what was seen, as a row tells it. */
export async function soak(t: TestContext, ...flags: readonly (readonly string[])[]): Promise<string> {
	const servers = await Promise.all(flags.map((own) => startServer(t, own)));
	const countDescriptors = () => sumOf(servers.map(({ pid }) => descriptorsOf(pid).length));
	const descriptorsBefore = countDescriptors();
	const load = new Load(servers, seededRandom(t));
	t.after(() => load.end().catch(() => {}));
	const totalMs = soakMinutes * 60_000;
	await load.run(totalMs * warmUpShare);
	const measuredMs = totalMs * (1 - warmUpShare);
	const [heap, native, descriptors]: [Sample[], Sample[], Sample[]] = [[], [], []];
	const beginMs = performance.now();
	for (let nth = 1; nth <= samples; nth++) {
		await load.run(beginMs + (nth * measuredMs) / samples - performance.now());
		const ms = performance.now() - beginMs;
		descriptors.push({ ms, value: countDescriptors() });
		const memory = await Promise.all(servers.map(({ readMemory }) => readMemory()));
		heap.push({ ms, value: sumOf(memory.map(({ heapUsed }) => heapUsed)) / megabyte });
		native.push({ ms, value: sumOf(memory.map((own) => own.native)) / megabyte });
	}
	await load.end();
	for (const { operatorPort } of servers) await becomes(async () => (await metricOf(operatorPort, 'pathcast_channels')) === 0);
	await becomes(() => countDescriptors() === descriptorsBefore);
	for (const { command } of servers) assert.deepEqual([command.child.exitCode, command.stderr], [null, '']);

	const measuredHours = measuredMs / 3_600_000;
	return [
		`${soakMinutes} minutes, ${load.connections} connections, ${load.messages} messages, ${load.deliveries} deliveries, ${load.misdeeds} misdeeds.`,
		`In the last two thirds, after collections: heap ${level('MB', heap, measuredHours)};`,
		`memory outside it ${level('MB', native, measuredHours)}; ${level('descriptors', descriptors, undefined)}.`,
		'At the end no channel is left, and the descriptors are those of the start.',
	].join(' ');
}

async function startServer(t: TestContext, flags: readonly string[]) {
	const command = runCommand(t, [...anyPort, '--groups', ...flags], [...memoryReporting, ...withoutCompilers]);
	const [port, operatorPort] = [await command.port(), await command.operatorPort()];
	return { command, port, operatorPort, pid: command.child.pid as number, readMemory: memoryReader(command) };
}

/**
 * Asserts that the samples do not rise, and gives their mean and their slope with its error, which holds with a probability of 99.9 %.
 * A fall is no leak. `hours` is how long memory was measured.
 */
function level(unit: string, own: readonly Sample[], hours: number | undefined): string {
	const { perHour, error } = slopeOf(own);
	const text = `${meanOf(own.map(({ value }) => value)).toFixed(1)} ${unit}, slope ${perHour.toFixed(1)} ± ${error.toFixed(1)} an hour`;
	if (hours === undefined || soakMinutes >= slopeMinutesMin) assert.ok(perHour <= error, `it rises: ${text}`);
	else assert.ok((perHour - error) * hours < growthMaxMb, `it rises by more than a warm-up does: ${text}`);
	return text;
}
