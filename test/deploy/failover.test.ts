// Nodes that go and come back: which channels move, and how they come home.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Front } from './support/front.js';
import { needsHaproxy, startHaproxy } from './support/haproxy.js';
import { needsNginx, startNginx } from './support/nginx.js';
import { type Node, startNodes } from './support/nodes.js';
import { Rooms } from './support/rooms.js';

/** Rooms on three nodes, of which the second is to go. */
async function startRooms(t: TestContext, front: Front, nodes: readonly Node[]) {
	const rooms = new Rooms(t, front.port, nodes);
	await rooms.subscribe(rooms.names);
	const home = await rooms.placement();
	const homeless = home[1] ?? [];
	const others = rooms.names.filter((name) => !homeless.includes(name));
	assert.ok(home.every(({ length }) => length > 0));
	const [standIn, victim, otherStandIn] = nodes;
	assert.ok(standIn && victim && otherStandIn);
	return { rooms, home, homeless, others, victim, standIns: [standIn, otherStandIn] };
}

async function killAndReturn(t: TestContext, front: Front, nodes: readonly Node[]): Promise<void> {
	const { rooms, home, homeless, others, victim, standIns } = await startRooms(t, front, nodes);
	await victim.kill();
	const killedMs = performance.now();
	await rooms.closed(homeless, 1006);
	await rooms.hear(others, 'meanwhile');
	await front.sees(victim, 'down');
	assert.ok(performance.now() - killedMs < 5_000);
	await rooms.subscribe(homeless);
	await rooms.hear(rooms.names, 'without it');

	await victim.start();
	await front.sees(victim, 'up');
	await rooms.hear(others, 'it is back');
	// What is published goes to it, but its channels' subscribers are still elsewhere.
	await rooms.missed(homeless);
	await Promise.all(standIns.map((node) => node.shed('0s')));
	await rooms.closed(rooms.names, 1012);
	await rooms.subscribe(rooms.names);
	await rooms.hear(rooms.names, 'at home');
	assert.deepEqual(await rooms.placement(), home);
}

async function takeOutAndPutBack(t: TestContext, front: Front, nodes: readonly Node[], code: 1006 | 1012): Promise<void> {
	const { rooms, home, homeless, others, victim, standIns } = await startRooms(t, front, nodes);
	await front.takeOut(victim);
	if (code === 1006) await rooms.closed(homeless, code);
	await victim.stop();
	await rooms.closed(homeless, code);
	await rooms.hear(others, 'meanwhile');
	await rooms.subscribe(homeless);
	await rooms.hear(rooms.names, 'without it');

	await victim.start();
	await front.putBack(victim);
	await rooms.hear(others, 'it is back');
	await rooms.missed(homeless);
	await Promise.all(standIns.map((node) => node.shed('0s')));
	await rooms.closed(rooms.names, 1012);
	await rooms.subscribe(rooms.names);
	await rooms.hear(rooms.names, 'at home');
	assert.deepEqual(await rooms.placement(), home);
}

/** Its kernel still takes connections, but nobody answers. */
async function hang(t: TestContext, front: Front, nodes: readonly Node[]): Promise<void> {
	const { rooms, homeless, others, victim } = await startRooms(t, front, nodes);
	victim.hang();
	const hungMs = performance.now();
	await front.sees(victim, 'down');
	await rooms.closed(homeless, 1006);
	// Not by the time-out of websockets.
	assert.ok(performance.now() - hungMs < 10_000);
	await rooms.hear(others, 'meanwhile');
	await rooms.subscribe(homeless);
	await rooms.hear(rooms.names, 'without it');
}

const killed = (front: string) =>
	`behind ${front}, the channels of a killed node are served elsewhere, no other moves, and after its return /drain?over= brings them home`;
const takenOut = (front: string) =>
	`behind ${front}, taking a node out moves its channels and no other; after putting it back /drain?over= brings them home`;

// Two at a time, as they wait for most of theirs.
test('behind a proxy, nodes may go and come back', { concurrency: 2 }, async (t) => {
	await Promise.all([
		t.test(killed('nginx'), needsNginx, async (t) => {
			const nodes = await startNodes(t, 3);
			await killAndReturn(t, await startNginx(t, 'cluster.conf', nodes), nodes);
		}),
		t.test(killed('HAProxy'), needsHaproxy, async (t) => {
			const nodes = await startNodes(t, 3);
			await killAndReturn(t, await startHaproxy(t, nodes), nodes);
		}),
		t.test('behind HAProxy, the subscribers of a node that hangs are cut off, and served elsewhere', needsHaproxy, async (t) => {
			const nodes = await startNodes(t, 3);
			await hang(t, await startHaproxy(t, nodes), nodes);
		}),
		t.test(takenOut('nginx'), needsNginx, async (t) => {
			const nodes = await startNodes(t, 3);
			await takeOutAndPutBack(t, await startNginx(t, 'cluster.conf', nodes), nodes, 1012);
		}),
		// HAProxy itself cuts their connections, in the step that moves the channels.
		t.test(takenOut('HAProxy'), needsHaproxy, async (t) => {
			const nodes = await startNodes(t, 3);
			await takeOutAndPutBack(t, await startHaproxy(t, nodes), nodes, 1006);
		}),
	]);
});
