// One order of each channel on all nodes, against a client of Redis that hears everything.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { openStream } from '../support/event-stream.js';
import { openGroups } from '../support/groups.js';
import { post, request } from '../support/http.js';
import { type Random, seededRandom } from '../support/random.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { viaEventStream, viaRedis, viaWebSocket } from './support/connections.js';
import { GroupMember } from './support/group-member.js';
import { Ledger } from './support/ledger.js';
import { openStay, type Stay } from './support/stay.js';

const channels = ['/a', '/a/', '//a', '/caf%C3%A9', '/b', '/c'];
const membersPerNode = 3;
const postersCount = 6;
const steps = 1_000;
// Some are beyond the engine's limits of 126 bytes and 16 KiB.
const sizes = [10, 10, 10, 130, 1_000, 17_000];
// Slow ones are to catch up, not to be cut: all run in this process.
const flags = ['--groups', '--log-level', 'info', '--max-backlog', '64MiB', '--write-timeout', '0', '--relay-linger', '1s'];

async function world(t: TestContext, random: Random) {
	const ledger = new Ledger();
	const redis = await startRedis(t);
	const nodes = await Promise.all([1, 2, 3].map(() => startTestServer(t, ...flags, '--relay', redis.url)));
	const ports = nodes.map(({ port }) => port);
	const pick = <Item>(items: readonly Item[]): Item => items[random.below(items.length)] ?? assert.fail();

	/** To a node of the test's choice. */
	async function postSomewhere(channel: string, who: string): Promise<number> {
		const message = ledger.publish(channel, who);
		const { status } = await post(pick(ports), channel, `${message} `.padEnd(pick(sizes), 'x'));
		assert.equal(status, 200);
		ledger.confirm(message);
		return message;
	}

	function publish({ who, send, piece: { channel } }: Stay, count: number): void {
		for (let i = 0; i < count; i++) send?.(`${ledger.publish(channel, who)} `.padEnd(pick(sizes), 'x'));
	}

	const references = await Promise.all(
		channels.map((channel) => openStay(t, ledger, viaRedis, redis.port, channel, 'the reference')),
	);
	const members: GroupMember[] = [];
	for (const [nth, node] of nodes.entries()) {
		for (let i = 0; i < membersPerNode; i++) {
			const channel = pick(channels);
			members.push(new GroupMember(await openGroups(t, node, channel), channel, `member ${i} of node ${nth}`, ledger));
		}
	}
	return { ledger, ports, pick, postSomewhere, publish, references, members };
}

test(
	'whatever is published, joins and leaves on whichever of three nodes, every stream is a piece of one order per channel',
	needsRedis,
	async (t) => {
		const random = seededRandom(t);
		const { ledger, ports, pick, postSomewhere, publish, references, members } = await world(t, random);
		const posters = Array.from({ length: postersCount }, (_, nth) => ({
			who: `poster ${nth}`,
			last: Promise.resolve<unknown>(0),
		}));
		const joined: Stay[] = [];
		const underWay: Promise<unknown>[] = [];

		/** Joins somewhere. What is published anywhere from then on must arrive. */
		async function join(who: string): Promise<void> {
			const [nth, channel] = [random.below(ports.length), pick(channels)];
			const connect = pick([viaWebSocket, viaWebSocket, viaEventStream]);
			joined.push(await openStay(t, ledger, connect, ports[nth] ?? 0, channel, `${who} on node ${nth}`));
			await postSomewhere(channel, `${who}'s friend`);
		}

		for (let step = 0; step < steps; step++) {
			const action = random.below(100);
			const [stream, member, poster] = [joined[random.below(joined.length)], pick(members), pick(posters)];
			if (action < 35) stream && publish(stream, 1 + random.below(5));
			else if (action < 38) stream && publish(stream, 100 + random.below(200));
			else if (action < 55) {
				// One after another, as an application server's connection would, though to any node.
				poster.last = poster.last.then(() => postSomewhere(pick(channels), poster.who));
				underWay.push(poster.last);
			} else if (action < 70) {
				for (const channel of member.channels) member.publish(channel, pick(sizes));
			} else if (action < 78) member.change(pick(channels));
			else if (action < 90) underWay.push(join(`client ${step}`));
			else if (stream !== undefined) {
				joined.splice(joined.indexOf(stream), 1);
				stream.leave();
			}
			if (random.below(4) === 0) await Promise.race([...underWay.slice(-1), turn()]);
		}
		await Promise.all(underWay);
		const sent = new Map(channels.map((channel) => [channel, ledger.count(channel)]));
		await ledger.until(
			'all messages reach Redis, each once',
			() =>
				members.every(({ isAnswered }) => isAnswered) &&
				references.every(({ piece: { channel, got } }) => got.length === sent.get(channel)),
			() => references.map(({ piece: { channel, got } }) => `${got.length} of ${sent.get(channel)}`).join(', '),
		);
		const last = new Map<string, number>();
		for (const channel of channels) last.set(channel, await postSomewhere(channel, 'the last POST'));
		const pieces = [...references, ...joined].map(({ piece }) => piece).concat(members.flatMap((member) => [...member.pieces]));
		await ledger.until('all clients have got the last messages', () =>
			pieces.every(({ channel, got }) => got.at(-1) === last.get(channel)),
		);
		t.diagnostic(`${ledger.deliveries} deliveries, ${ledger.check()} streams`);
	},
);

test(
	'a subscriber is open only when Redis has confirmed its subscription, and gets what is published from then on',
	needsRedis,
	async (t) => {
		const redis = await startRedis(t);
		const relay = ['--relay', redis.url, '--relay-timeout', '60s'];
		const [a, b] = [await startTestServer(t, ...relay), await startTestServer(t, ...relay)];
		redis.signal('SIGSTOP');
		let open = 0;
		const [first, second, stream] = [subscribe(t, a.ws('/new')), subscribe(t, a.ws('/new')), openStream(t, a, '/new')];
		for (const opening of [first, second, stream])
			opening.then(
				() => open++,
				() => {},
			);
		// By then the server has read what came before.
		for (let i = 0; i < 5; i++) assert.equal((await request(a.operatorPort, { path: '/healthz' })).status, 200);
		assert.equal(open, 0);
		redis.signal('SIGCONT');
		const [alice, bob, carol] = [await first, await second, await stream];
		assert.equal((await post(b.port, '/new', 'after open')).status, 200);
		const texts = [await alice.nextText(), await bob.nextText(), ...(await carol.texts(1))];
		assert.deepEqual(texts, ['after open', 'after open', 'after open']);
	},
);
