import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Places } from '#src/pubsub/places.js';
import { Laggards } from '#src/slow/watch.js';

class Peer {
	looks = 0;
	place = 0;
	sharedBytes = 0;
	constructor(public backlogBytes = 0) {}
	getBufferedAmount(): number {
		this.looks++;
		return this.backlogBytes;
	}
}

/** Peers that are watched, with those that were found to have come to a stop, which close. */
function watch(count: number, stallMsMax: number) {
	const peers = new Places<Peer>();
	const all = Array.from({ length: count }, () => new Peer());
	for (const peer of all) peer.place = peers.add(peer);
	const stalled: Peer[] = [];
	const standing: (readonly [Peer, number])[] = [];
	const laggards = new Laggards(peers, {
		addressOf: () => '192.0.2.1',
		backlogOf: (peer) => peer.getBufferedAmount(),
		freedBy: (peer) => peer.backlogBytes - peer.sharedBytes,
		stallMsMax,
		onStalled(peer) {
			stalled.push(peer);
			peers.remove(peer.place);
			laggards.forget(peer);
		},
		onStanding: (peer, backlogBytes) => {
			standing.push([peer, backlogBytes]);
		},
	});
	return { peers, all, stalled, standing, laggards };
}

test('each look costs the same, however many subscribers there are and lag, and comes to everybody in turn', () => {
	const { peers, all, laggards } = watch(10_000, 0);
	const looks = () => all.reduce((sum, peer) => sum + peer.looks, 0);
	laggards.look(0);
	assert.equal(looks(), 1_000);
	for (let i = 1; i < 10; i++) laggards.look(100 * i);
	assert.ok(all.every((peer) => peer.looks === 1));

	for (const peer of all) peer.backlogBytes = 1;
	for (let i = 0; i < 11; i++) laggards.look(1_000 + 100 * i);
	assert.equal(laggards.count, 10_000);
	const before = looks();
	for (let i = 0; i < 100; i++) {
		// Who comes and goes meanwhile does not keep the others from their turn.
		const gone = all.shift() as Peer;
		peers.remove(gone.place);
		laggards.forget(gone);
		peers.add(new Peer());
		laggards.look(3_000 + 100 * i);
	}
	assert.ok(looks() - before <= 200_000);
	assert.ok(all.every((peer) => peer.looks >= 10));
});

test('a backlog that shrinks from time to time is no stall, one that stands or only grows is', () => {
	const { all, stalled, laggards } = watch(5, 10_000);
	const [idle, standing, growing, sawtooth, late] = all as [Peer, Peer, Peer, Peer, Peer];
	standing.backlogBytes = 5;
	for (let ms = 0; ms <= 60_000; ms += 100) {
		growing.backlogBytes += 1_000;
		sawtooth.backlogBytes = ms % 9_000 === 0 ? 1 : sawtooth.backlogBytes + 1_000;
		if (ms === 30_000) late.backlogBytes = 1;
		if (ms === 39_000) late.backlogBytes = 0;
		if (ms === 45_000) late.backlogBytes = 1;
		laggards.look(ms);
		if (ms === 9_900) assert.deepEqual(stalled, []);
		if (ms === 10_000) assert.deepEqual(new Set(stalled), new Set([standing, growing]));
		if (ms === 54_900) assert.equal(stalled.length, 2);
	}
	assert.deepEqual(new Set(stalled), new Set([standing, growing, late]));
	assert.equal(laggards.count, 1);
	assert.equal(laggards.forget(idle), undefined);
	assert.equal(laggards.forget(sawtooth)?.ip, '192.0.2.1');
});

test('with 0, no backlog is a stall', () => {
	const { all, stalled, laggards } = watch(1, 0);
	(all[0] as Peer).backlogBytes = 1;
	for (let ms = 0; ms < 10_000_000; ms += 10_000) laggards.look(ms);
	assert.deepEqual([stalled.length, laggards.count], [0, 1]);
});

test('while the server itself is held up, nobody’s time runs out', () => {
	const { all, stalled, laggards } = watch(1, 10_000);
	(all[0] as Peer).backlogBytes = 1;
	laggards.look(0);
	laggards.look(3_600_000);
	assert.equal(stalled.length, 0);
	for (let ms = 3_600_000; ms <= 3_609_000; ms += 100) laggards.look(ms);
	assert.equal(stalled.length, 1);
});

test('the largest backlogs are those that make up for what is too much, but not small ones, nor very many', () => {
	const { all, laggards } = watch(1_000, 0);
	for (const [i, peer] of all.entries()) peer.backlogBytes = 65_535 - 400 + i;
	for (const i of [100, 200, 300]) (all[i] as Peer).backlogBytes = 1_000_000 * i;
	laggards.look(0);
	const largest = (bytes: number) => laggards.largest(bytes).map((peer) => all.indexOf(peer));
	assert.deepEqual(largest(0), []);
	assert.deepEqual(largest(1), [300]);
	assert.deepEqual(largest(300_000_001), [300, 200]);
	assert.deepEqual(largest(600_000_001), [300, 200, 100, 999]);
	// Others wait for half of the largest one.
	(all[300] as Peer).sharedBytes = 150_000_000;
	assert.deepEqual(largest(150_000_001), [300, 200]);
	assert.equal(largest(Number.MAX_SAFE_INTEGER).length, 200);
	for (const peer of all) peer.backlogBytes = 65_535;
	laggards.look(100);
	assert.deepEqual(largest(Number.MAX_SAFE_INTEGER), []);
});

test('a backlog stands that is no smaller than at the look before', () => {
	const { all, standing, laggards } = watch(3, 0);
	const [reading, stopped, late] = all as [Peer, Peer, Peer];
	reading.backlogBytes = 3_000;
	stopped.backlogBytes = 1_000;
	for (let ms = 0; ms <= 200; ms += 100) {
		laggards.look(ms);
		reading.backlogBytes -= 1_000;
		stopped.backlogBytes += ms;
		late.backlogBytes = 500;
	}
	const seen = (peer: Peer) => standing.filter(([one]) => one === peer).map(([, backlogBytes]) => backlogBytes);
	assert.deepEqual([seen(reading), seen(stopped), seen(late)], [[], [1_000, 1_100], [500]]);
});

test('a look closes no more than 200, and the next ones the others', () => {
	const { all, stalled, laggards } = watch(1_000, 1_000);
	for (const peer of all) peer.backlogBytes = 1;
	for (let ms = 0; ms < 1_000; ms += 100) laggards.look(ms);
	for (let closed = 200; closed <= 1_000; closed += 200) {
		laggards.look(1_000 + closed);
		assert.equal(stalled.length, closed);
	}
	assert.equal(laggards.count, 0);
});
