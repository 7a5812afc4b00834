// The benchmark of nodes that share a Redis: the load on all of them, and what is told of Redis.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { CanonicalLog, payloadTemplate, writeNumber } from '#bench/load/canonical-log.js';
import type { Connection } from '#bench/load/connection.js';
import { dialects } from '#bench/load/dialect.js';
import { runHold } from '#bench/load/hold.js';
import type { Hold, Measurement, Target, Traffic } from '#bench/load/job.js';
import { newStream, receiver } from '#bench/load/receiving.js';
import { type Peer, peers } from '#bench/peers.js';
import { startServer } from '#bench/processes.js';
import { matrix, type PeerRounds, rowsOf, table, verdict } from '#bench/results.js';
import { type Scenario, scenarios } from '#bench/scenarios.js';
import { needsRedis } from '../support/redis.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { burstBy, measure } from './support/traffic.js';

const scenarioOf = (id: string) => scenarios.find((scenario) => scenario.id === id) as Scenario;
const peerOf = (name: string) => peers.find((peer) => peer.name === name) as Peer;
const burst: Traffic = { ...burstBy('websocket'), channels: 3, publishersAtOnce: 3 };

async function start(t: TestContext, peer: Peer, channelsPerConnection?: number): Promise<Target> {
	const dialect = channelsPerConnection === undefined ? undefined : 'groups';
	const server = await startServer({ peer, pin: undefined, folder: temporaryFolder(t), dialect, channelsPerConnection });
	t.after(() => server.stop());
	return server.target;
}

test('the subscribers of a channel are on both nodes, and the CPU time of Redis is told apart', needsRedis, async (t) => {
	const target = await start(t, peerOf('pathcast --relay'));
	const { amount, serverCpuSeconds, relayCpuSeconds = 0 } = await measure(target, burst);
	assert.ok(amount > 0 && serverCpuSeconds > 0 && relayCpuSeconds > 0);
	assert.equal(target.pids.length, 2);
	assert.ok(!target.pids.includes(target.relay?.pid as number));
});

test('messages that do not reach the other node fail the run', async (t) => {
	const target = await start(t, { ...peerOf('pathcast'), nodes: 2 });
	assert.equal(target.relay, undefined);
	await assert.rejects(measure(target, burst), /^Error: lost: \d+ deliveries/);
});

test('the channels that are held are counted in the memory of the nodes and of Redis', needsRedis, async (t) => {
	const work: Hold = { kind: 'hold', base: 1_000, count: 5_000, perConnection: 500 };
	const target = await start(t, peerOf('pathcast --relay'), work.perConnection);
	const {
		amount,
		relayBytes = 0,
		openedPerSecond = 0,
	} = await runHold({ target, work, warmUpMs: 0, measureMs: 0 }, work, () => {});
	assert.ok(amount > 0 && relayBytes > 50 && openedPerSecond > 0, `${amount}, ${relayBytes}, ${openedPerSecond}`);
});

test('pings of Socket.IO between the deliveries are answered, and each delivery counts, however the reads split them', () => {
	const payloadBytes = 32;
	const dialect = dialects['socket.io'];
	const envelope = dialect.deliveryEnvelope('/0', payloadBytes);
	const ping = Buffer.from([0x81, 1, 0x32]);
	const sent = [0, 1, 2, 3].map((number) => {
		const payload = payloadTemplate(0, payloadBytes);
		writeNumber(payload, 0, number);
		return Buffer.concat([number === 2 ? Buffer.alloc(0) : ping, envelope.before, payload, envelope.after]);
	});
	const wire = Buffer.concat(sent);
	for (let size = 1; size <= wire.length; size++) {
		const answers: Buffer[] = [];
		const numbers: number[] = [];
		const connection = { socket: { write: (bytes: Buffer) => answers.push(bytes) } } as unknown as Connection;
		const onMessage = (_publisher: number, number: number) => numbers.push(number);
		const log = new CanonicalLog({ envelope, payloadBytes, sent: () => 4, onMessage, slowest: () => 0 }, 1_000);
		const receive = receiver({ dialect, onAdvance() {}, fail: assert.fail });
		const stream = newStream([{ connection, log, position: 0 }]);
		for (let at = 0; at < wire.length; at += size) receive(stream, wire.subarray(at, at + size));
		assert.deepEqual(numbers, [0, 1, 2, 3], `reads of ${size} bytes`);
		const pong = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x33]);
		assert.deepEqual(answers, [pong, pong, pong], `reads of ${size} bytes`);
	}
});

const measured = (amount: number, more: Partial<Measurement> = {}): Measurement => {
	return { amount, wallSeconds: 2, serverCpuSeconds: 1, loadCpuShare: 0.5, ...more };
};
const once = (peer: string, ...rounds: Measurement[]): PeerRounds => ({ peer, rounds });

test('where nodes share a Redis, every peer is compared with pathcast --relay, and the CPU time of Redis stands beside it', () => {
	const scenario = scenarioOf('relay-burst');
	const rows = rowsOf(scenario, [
		once('pathcast', measured(400)),
		once('pathcast --relay', measured(100, { relayCpuSeconds: 1 })),
		once('nchan redis', measured(50, { relayCpuSeconds: 0.25 })),
	]);
	assert.deepEqual(
		rows.map(({ pathcastRatio, withRelay, relayCpuShare }) => [pathcastRatio?.median, withRelay?.median, relayCpuShare?.median]),
		[
			[0.25, undefined, undefined],
			[undefined, 50, 0.5],
			[2, 40, 0.125],
		],
	);
	assert.match(table(scenario, rows), /pathcast --relay +100 +100 to 100 +50\.0 +50 % +50 % +50 % +50\.0/);
	assert.match(
		verdict(scenario, rows),
		/^pathcast --relay leads: pathcast --relay is 2\.00 x the best other peer \(nchan redis\)\.$/,
	);
	assert.match(matrix([{ scenario, rows }]), /^\| pathcast is … times \| pathcast \| nchan redis \|$/m);
});

test('the memory of Redis is told beside that of the nodes, and how fast channels are opened', () => {
	const scenario = scenarioOf('relay-hold');
	const rows = rowsOf(scenario, [
		once('pathcast', measured(1_000, { openedPerSecond: 9 })),
		once('pathcast --relay', measured(1_500, { relayBytes: 250, relayCpuSeconds: 1, openedPerSecond: 4 })),
	]);
	assert.deepEqual(
		rows.map(({ pathcastRatio, withRelay, perSecond }) => [pathcastRatio?.median, withRelay?.median, perSecond?.median]),
		[
			[1_000 / 1_500, undefined, 9],
			[undefined, 1_750, 4],
		],
	);
	assert.match(table(scenario, rows), /^ +bytes per channel /);
});
