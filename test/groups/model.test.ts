// Many channels over one websocket, beside plain websockets, POSTs and event streams on the same channels, against a model.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { openStream, openStreamOverTls } from '../support/event-stream.js';
import { openGroups } from '../support/groups.js';
import { post } from '../support/http.js';
import { type Random, seededRandom } from '../support/random.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { tls, tlsFlags } from '../support/tls.js';
import { Ledger } from './support/ledger.js';
import { type Command, Participant } from './support/participant.js';

type Scheme = 'ws' | 'wss';

// Every fifth name is not ASCII.
const channels = Array.from({ length: 50 }, (_, i) => (i % 5 === 0 ? `/caf%C3%A9/${i}` : `/m/${i}`));
// The channel of all participants at the end.
const quietChannel = '/quiet';
const participantCount = 200;
// Some are beyond the engine's limits of 126 bytes and 16 KiB.
const sizes = [10, 10, 10, 130, 1_000, 17_000];
const burstMin = 40;

async function world(t: TestContext, scheme: Scheme) {
	const ledger = new Ledger();
	// Slow ones are to catch up, not to be cut: all run in this process.
	const flags = ['--groups', '--log-level', 'info', '--max-backlog', '64MiB', '--write-timeout', '0'];
	const server = await startTestServer(t, ...flags, ...(scheme === 'wss' ? tlsFlags : []));
	const target = { ...server, ws: (path: string) => server.ws(path).replace(/^ws/, scheme) };
	const options = scheme === 'wss' ? tls : {};
	// One after another, so that their numbers are known.
	let opened = 0;
	const plain = new Map<string, (bytes: number) => void>();
	for (const channel of [...channels, quietChannel]) {
		const number = String(++opened);
		const reference = await subscribe(t, target.ws(channel), options);
		reference.ws.on('message', (data: Buffer) => ledger.watch((async () => ledger.see(channel, data.toString()))()));
		plain.set(channel, (bytes) => reference.send(ledger.publish(channel, number, bytes)));
	}
	const streams: { channel: string; texts: string[] }[] = [];
	for (const channel of channels) {
		opened++;
		const stream =
			scheme === 'wss'
				? await openStreamOverTls(t, { ...tls, port: server.port }, channel)
				: await openStream(t, server, channel);
		const texts: string[] = [];
		streams.push({ channel, texts });
		ledger.watch(
			(async () => {
				for (;;) texts.push((await stream.next()).data);
			})(),
		);
	}
	const participants: Participant[] = [];
	while (participants.length < participantCount) {
		const channel = channels[participants.length % channels.length] ?? assert.fail();
		const begun = ledger.now();
		participants.push(new Participant(await openGroups(t, target, channel, options), channel, ++opened, begun, ledger));
	}
	/** By the clients' port or the operator's. */
	async function postTo(door: 'post' | 'server', channel: string, bytes: number): Promise<void> {
		const body = ledger.publish(channel, door, bytes);
		if (door === 'server') assert.equal((await post(server.operatorPort, `/channels${channel}`, body)).status, 200);
		else assert.equal(await postPublicly(scheme, server.port, channel, body), 200);
		ledger.confirm(channel, body);
	}
	return { ledger, server, plain, streams, participants, postTo };
}

async function postPublicly(scheme: Scheme, port: number, path: string, body: string): Promise<number | undefined> {
	const options = { host: '127.0.0.1', port, path, method: 'POST', agent: false };
	const request = scheme === 'wss' ? httpsRequest({ ...options, ...tls }) : httpRequest(options);
	request.end(body);
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	response.resume();
	return response.statusCode;
}

/** Changes the channels of a participant in some way, unless it has to wait. */
function changeSomehow(random: Random, participant: Participant): void {
	if (!participant.mayChange()) return;
	const some = (max: number) => Array.from({ length: random.below(max + 1) }, () => pick(random, channels));
	const own = () => [...participant.set].filter(() => random.below(2) === 0);
	const [command, paths] = (
		[
			['subscribe', some(6)],
			// Some of them stay.
			['subscribe', [...own(), ...some(3)]],
			['add', some(3)],
			['remove', [...own(), ...some(1)]],
		] as const
	)[random.below(4)] as [Command, string[]];
	participant.change(
		command,
		paths,
		paths.map((path) => (random.below(2) === 0 ? path : decodeURI(path))),
	);
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
	return items[random.below(items.length)] ?? assert.fail();
}

for (const [scheme, steps] of [
	['ws', 2_000],
	['wss', 1_000],
] as const) {
	test(`random sets, adds, removes and publishes by 200 connections on 50 channels, with plain websocket, POST and event-stream peers on the same channels: each sees exactly what it was subscribed to, in the channel's order, none lost at a change for paths in both sets (${scheme})`, async (t) => {
		const random = seededRandom(t);
		const { ledger, server, plain, streams, participants, postTo } = await world(t, scheme);
		const posts: Promise<void>[] = [];
		const publishes = (participant: Participant, channel: string, count: number) => {
			for (let i = 0; i < count; i++) participant.publish(channel, pick(random, sizes));
		};

		for (let step = 0; step < steps; step++) {
			const participant = pick(random, participants);
			const channel = pick(random, participant.set.size > 0 ? [...participant.set] : channels);
			const isThere = participant.staysOn(channel);
			const action = random.below(100);
			if (action < 45) changeSomehow(random, participant);
			else if (action < 70 && isThere) publishes(participant, channel, 1 + random.below(3));
			else if (action < 85) plain.get(channel)?.(pick(random, sizes));
			else if (action < 95) posts.push(postTo(random.below(2) === 0 ? 'post' : 'server', channel, pick(random, sizes)));
			else if (action < 98 && isThere) {
				// More than go out in one tick, with changes of the publisher and of another among them.
				publishes(participant, channel, burstMin + random.below(60));
				changeSomehow(random, participant);
				changeSomehow(random, pick(random, participants));
				if (participant.staysOn(channel)) publishes(participant, channel, burstMin);
			} else if (action >= 98) {
				for (let i = burstMin + random.below(60); i > 0; i--) plain.get(channel)?.(pick(random, sizes));
				changeSomehow(random, participant);
			}
			if (random.below(4) === 0) await turn();
		}
		await Promise.all(posts);
		await ledger.until(() => participants.every(({ isAnswered }) => isAnswered));
		await ledger.allSeen();
		for (const channel of channels) await postTo('server', channel, 10);
		await ledger.allSeen();
		await ledger.until(() =>
			participants.every((participant) =>
				[...participant.set].every((channel) => participant.got(channel, ledger.last(channel))),
			),
		);

		// The participants have left the channels: these messages reach the plain websockets and the event streams alone. The last message comes
		// on the quiet channel.
		for (const participant of participants) await ledger.until(() => participant.mayChange());
		for (const participant of participants) participant.change('subscribe', [quietChannel]);
		await ledger.until(() => participants.every(({ isAnswered }) => isAnswered));
		for (const channel of channels) await postTo('server', channel, 10);
		await ledger.allSeen();
		await postTo('server', quietChannel, 10);
		await ledger.allSeen();
		await ledger.until(() => participants.every((participant) => participant.got(quietChannel, ledger.last(quietChannel))));

		for (const { channel, texts } of streams) {
			const order = ledger.order(channel).map(({ text }) => text);
			await ledger.until(() => texts.at(-1) === order.at(-1));
			assert.ok(texts.length === order.length && texts.every((text, i) => text === order[i]), channel);
		}
		for (const participant of participants) participant.check();
		const ofMembers = participants.reduce((sum, { messages }) => sum + messages, 0);
		const ofOthers = channels.reduce((sum, channel) => sum + 2 * ledger.order(channel).length, 1);
		assert.equal(await metric(server, 'pathcast_deliveries_total'), ofMembers + ofOthers);
		t.diagnostic(`${ledger.messages} messages, ${ofMembers} to connections with many channels, ${ofOthers} to others`);
	});
}
