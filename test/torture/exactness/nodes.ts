// The built server as one process or several, and what is left in them when all clients have gone.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Target } from '#bench/load/job.js';
import { anyPort, type Command, runCommand } from '../../support/command.js';
import { request } from '../../support/http.js';
import { descriptorsOf, residentBytes } from '../../support/process.js';
import { metricOf } from '../../support/server.js';
import type { Node } from './traffic.js';

/** After this time, what is still there stays. */
const patienceMs = 60_000;
/**
 * The heap of a process that has worked, and the pages that malloc keeps, are larger than those of one that has not. To keep the messages of
 * the largest loads, of which there are 200,000 of 4 KB, would take twice as much.
 */
const growthMaxMb = 400;
const present = ['connections', 'subscribers', 'channels', 'sessions', 'lagging_subscribers', 'backlog_bytes'];

export type RunningNode = Node & { readonly command: Command; readonly descriptors: number; readonly megabytes: number };

export function targetOf(port: number, isTls = false): Target {
	return { host: '127.0.0.1', port, isTls, dialect: 'websocket', pathPrefix: '', pids: [] };
}

export async function startNode(t: TestContext, ...flags: string[]): Promise<RunningNode> {
	const command = runCommand(t, [...anyPort, '--binary', '--groups', ...flags]);
	const target = targetOf(await command.port(), flags.includes('--tls-cert'));
	const operator = targetOf(await command.operatorPort());
	await metricOf(operator.port, 'pathcast_channels');
	const pid = command.child.pid as number;
	return { command, target, operator, descriptors: descriptorsOf(pid).length, megabytes: megabytesOf(pid) };
}

/** Asserts that the nodes are as if no client had been there. Gives a sentence with their memory. */
export async function nothingIsLeft(nodes: readonly RunningNode[]): Promise<string> {
	const memory: string[] = [];
	for (const { command, operator, descriptors, megabytes } of nodes) {
		const pid = command.child.pid as number;
		for (const name of present) await comesTo(name, 0, () => metricOf(operator.port, `pathcast_${name}`));
		const { body } = await request(operator.port, { path: '/channels' });
		assert.deepEqual(JSON.parse(body).channels, []);
		// The connection of the request above may still be open.
		await comesTo('descriptors', 0, async () => Math.max(0, descriptorsOf(pid).length - descriptors - 1));
		const after = megabytesOf(pid);
		assert.ok(after - megabytes < growthMaxMb, `memory: ${megabytes} MB before, ${after} MB after`);
		assert.deepEqual([command.child.exitCode, command.stderr], [null, '']);
		memory.push(`${megabytes} MB before and ${after} MB after`);
	}
	return `At the end no channel, connection, subscription or descriptor is left; memory ${memory.join(', ')}.`;
}

async function comesTo(what: string, wanted: number, look: () => Promise<number>): Promise<void> {
	const startMs = performance.now();
	for (let is = await look(); is !== wanted; is = await look()) {
		assert.ok(performance.now() - startMs < patienceMs, `${what}: ${is} are left`);
		await pause(10);
	}
}

function megabytesOf(pid: number): number {
	return Math.round(residentBytes(pid) / 1_048_576);
}
