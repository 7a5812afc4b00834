// Subscribers of each kind that stop reading: for ever, or until the server has found them to lag.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { seededRandom } from '../../support/random.js';
import { needsRedis, startRedis } from '../../support/redis.js';
import { metricOf } from '../../support/server.js';
import { sumOf } from '../support/line.js';
import { inForm, torture } from '../support/torture.js';
import { type Client, type Kind, openClient } from './client.js';
import { Messages } from './messages.js';
import { patience } from './mixed.js';
import { nothingIsLeft, type RunningNode, startNode } from './nodes.js';
import { Clock, Order } from './order.js';
import { Posters } from './posters.js';

const kinds: readonly Kind[] = ['websocket', 'event-stream', 'groups'];
const ofEachKind = inForm(1, 3);
const rounds = inForm(1, 4);
const bytesMax = 65_536;
/** More than the system holds for them all: else the server would not notice. */
const messagesMax = 5_000;

const thrown =
	'subscribers of each kind that stop reading for ever, and others that stop until they lag and then go on, beside some that read';
const promised =
	'A subscriber that stops is cut without a close frame and has no message after a gap. A subscriber that goes on misses nothing, and neither does one that reads.';
/**
 * Subscribers that go on in time are not to be cut, however slow the machine is. The system holds up to 10 MB more for one of them than for
 * another, so that one may have that much more waiting when the last one lags.
 */
const flags = ['--max-backlog', '24MiB', '--write-timeout', '0s'];

torture({ thrown: `${thrown}, on one node`, promised }, async (t) => run(t, [await startNode(t, ...flags)]), patience);

torture(
	{ thrown: `${thrown}, on two nodes with a relay`, promised },
	async (t) => {
		const redis = await startRedis(t);
		const start = () => startNode(t, ...flags, '--relay', redis.url, '--relay-linger', '1s');
		return run(t, await Promise.all([start(), start()]));
	},
	{ ...needsRedis, ...patience },
);

async function run(t: TestContext, nodes: readonly RunningNode[]): Promise<string> {
	const random = seededRandom(t);
	const metric = async (name: string) =>
		sumOf(await Promise.all(nodes.map(({ operator }) => metricOf(operator.port, `pathcast_${name}`))));
	let turns = 0;
	const nextTarget = () => (nodes[turns++ % nodes.length] ?? assert.fail()).target;
	const cut = () => metric('disconnects_total{reason="slow"}');
	const order = new Order(0, '/slow', new Messages((limit) => random.below(limit), bytesMax), new Clock(), nodes.length > 1);
	let failure: Error | undefined;
	let deliveries = 0;
	const fail = (error: Error) => {
		failure ??= error;
	};
	const world = { random, fail, onDelivery: () => deliveries++ };
	const open = (kind: Kind, stays: boolean) => openClient(world, nextTarget(), kind, [order], { stays });
	const openSome = (stays: boolean) =>
		Promise.all(kinds.flatMap((kind) => Array.from({ length: ofEachKind }, () => open(kind, stays))));
	const reference = await open('websocket', true);
	const readers = [reference, ...(await openSome(true))];
	const resting = await openSome(true);
	const posters = new Posters(nextTarget(), 1, random, fail);

	/** Publishes one message, which all who read get. */
	const publish = async (bytes: number) => {
		const isBinary = random.below(4) === 0;
		await posters.publish(order.path, order.publish(0, { bytes, isBinary }), isBinary);
		await hasAll(readers);
	};
	const hasAll = async (clients: readonly Client[]) => {
		await Promise.all(clients.map((client) => client.until(() => client.messages === order.published)));
		if (failure !== undefined) throw failure;
	};
	const publishUntil = async (what: string, longest: number, isTrue: () => Promise<boolean>) => {
		for (let sent = 0; !(await isTrue()); sent++) {
			assert.ok(sent < messagesMax, `never: ${what}`);
			await publish(1 + random.below(sent % 8 === 0 ? 500 : longest));
		}
	};

	let rests = 0;
	for (let round = 0; round < rounds; round++) {
		for (const client of resting) client.stopReading();
		await publishUntil('they lag', bytesMax, async () => (await metric('lagging_subscribers')) === resting.length);
		// Short messages give the server time to look again, after which it keeps messages for those that lag, before it would cut them.
		await publishUntil('messages are kept for them', 500, async () => (await metric('backlog_bytes')) > 0);
		for (let more = 0; more < 20; more++) await publish(1 + random.below(bytesMax));
		for (const client of resting) client.goOn();
		rests += resting.length;
		await hasAll(resting);
	}
	assert.equal(await cut(), 0, 'a subscriber that goes on is cut');

	const stopping = await openSome(false);
	for (const client of stopping) {
		client.mayBeEnded = true;
		client.stopReading();
	}
	await publishUntil('they are cut', bytesMax, async () => (await cut()) === stopping.length);
	for (const client of stopping) client.goOn();
	const ends = await Promise.all(stopping.map((client) => client.ended));
	assert.deepEqual(new Set(ends), new Set(['gone']), 'a close frame');
	const got = stopping.map(({ messages }) => messages);

	await hasAll([...readers, ...resting]);
	await Promise.all([...readers, ...resting].map((client) => client.leave('close')));
	posters.end();
	order.judge();
	if (failure !== undefined) throw failure;
	const left = await nothingIsLeft(nodes);
	return [
		`${deliveries} deliveries of ${order.published} messages; ${stopping.length} subscribers were cut, after ${Math.min(...got)} to ${Math.max(...got)} messages without a gap,`,
		`${rests} times one lagged and then read everything. ${left}`,
	].join(' ');
}
