// Loads servers for as long as the soak takes, and states the slope of their memory and their descriptors.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import type { Command } from '../../support/command.js';
import { seededRandom } from '../../support/random.js';
import { metricOf } from '../../support/server.js';
import { soakMinutes } from '../support/torture.js';
import { Load } from './load.js';
import { meanOf, type Sample, type Slope, slopeOf } from './slope.js';

/** Of this time, the first third warms the server up: it compiles, and its heap finds its size. */
const warmUpShare = 1 / 3;
const samplesMin = 240;
/** Below this time, the memory of a server is still finding its size: its slope is stated, and only its sum is bounded. */
const slopeMinutesMin = 20;
const growthMaxMb = 64;

export async function soak(t: TestContext, commands: readonly Command[]): Promise<string> {
	const servers = await Promise.all(
		commands.map(async (command) => ({
			pid: command.child.pid as number,
			port: await command.port(),
			operatorPort: await command.operatorPort(),
		})),
	);
	const pids = servers.map(({ pid }) => pid);
	const descriptorsBefore = descriptorsOf(pids);
	const load = new Load(servers, seededRandom(t));
	t.after(() => load.end().catch(() => {}));
	const totalMs = soakMinutes * 60_000;
	await load.run(totalMs * warmUpShare);
	const memory: Sample[] = [];
	const descriptors: Sample[] = [];
	const measuredMs = totalMs * (1 - warmUpShare);
	const beginMs = performance.now();
	while (performance.now() - beginMs < measuredMs) {
		await load.run(Math.min(1_000, measuredMs / samplesMin));
		const ms = performance.now();
		memory.push({ ms, value: megabytesOf(pids) });
		descriptors.push({ ms, value: descriptorsOf(pids) });
	}
	await load.end();
	for (const { operatorPort } of servers) await becomes(async () => (await metricOf(operatorPort, 'pathcast_channels')) === 0);
	await becomes(() => descriptorsOf(pids) === descriptorsBefore);
	for (const { child, stderr } of commands) assert.deepEqual([child.exitCode, stderr], [null, '']);

	const [ofMemory, ofDescriptors] = [slopeOf(memory), slopeOf(descriptors)];
	assertFlat('descriptors', ofDescriptors);
	if (soakMinutes >= slopeMinutesMin) assertFlat('megabytes', ofMemory);
	else assert.ok((ofMemory.perHour - ofMemory.error) * (measuredMs / 3_600_000) < growthMaxMb, `memory: ${shown(ofMemory)}`);
	return [
		`${soakMinutes} minutes, ${load.connections} connections, ${load.messages} messages, ${load.deliveries} deliveries, ${load.misdeeds} misdeeds.`,
		`In the last two thirds: ${meanOf(memory.map(({ value }) => value)).toFixed(0)} MB, slope ${shown(ofMemory)} MB an hour;`,
		`${meanOf(descriptors.map(({ value }) => value)).toFixed(0)} descriptors, slope ${shown(ofDescriptors)} an hour.`,
		'At the end no channel is left, and the descriptors are those of the start.',
	].join(' ');
}

/** The error holds with a probability of 99.9 %. A fall is no leak. */
function assertFlat(what: string, slope: Slope): void {
	assert.ok(slope.perHour <= slope.error, `${what} rise: ${shown(slope)} an hour`);
}

function shown({ perHour, error }: Slope): string {
	return `${perHour.toFixed(1)} ± ${error.toFixed(1)}`;
}

/** The resident memory of all these processes. */
function megabytesOf(pids: readonly number[]): number {
	const kilobytes = pids.map((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]));
	return kilobytes.reduce((sum, own) => sum + own, 0) / 1_024;
}

function descriptorsOf(pids: readonly number[]): number {
	return pids.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
}
