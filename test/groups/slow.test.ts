// Connections with many channels that do not keep up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type WebSocket from 'ws';
import { changed, openGroups } from '../support/groups.js';
import { protocol } from '../support/protocol.js';
import { seededRandom } from '../support/random.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { tls, tlsFlags } from '../support/tls.js';
import { Follower, kept, openFollower, slowCut } from './support/follower.js';
import { Ledger } from './support/ledger.js';
import { Participant } from './support/participant.js';

protocol('A connection that does not keep up is disconnected as a whole; while it catches up, its changes wait.', async (t) => {
	const patient = await startTestServer(t, '--groups', '--max-backlog', '64MiB', '--log-level', 'info');
	const others = await Promise.all(['/a', '/b', '/d'].map((path) => subscribe(t, patient.ws(path))));
	const slow = await openFollower(patient, openGroups(t, patient, '/a'), '/a /b /c');
	slow.client.ws.pause();
	await slow.publishUntilKept('/a');
	for (let i = 0; i < 20; i++) for (const channel of ['/a', '/b', '/c']) await slow.publish(channel);
	// All its channels keep what they publish now.
	assert.ok((await kept(patient)) >= 60 * 64_000);
	slow.client.send('subscribe: /b /d');
	slow.client.send('add: /a');
	slow.client.publish('/b', slow.text('/b', 10));
	for (const [nth, channel] of ['/a', '/b'].entries()) {
		// The others get everything at once: the change has been received when the message after it comes.
		let seen = 0;
		for (; seen < slow.published(channel); seen++) assert.match((await others[nth]?.nextText()) ?? '', new RegExp(`^${seen} `));
	}
	for (const channel of ['/a', '/b', '/c', '/d', '/a']) await slow.publish(channel, 10);
	slow.joins('/d');
	slow.client.ws.resume();
	assert.deepEqual(await slow.answer(), changed('/b /d', '/d', '/a /c'));
	// Everything that was published before it had caught up.
	for (const channel of ['/a', '/c']) assert.equal(slow.seen(channel), slow.published(channel));
	assert.deepEqual(await slow.answer(), changed('/b /d /a', '/a'));
	for (const channel of ['/b', '/d', '/a', '/b', '/c']) await slow.publish(channel, 10);
	await slow.readAll('/a', '/b', '/d');
	assert.equal(await kept(patient), 0);
	assert.equal(await metric(patient, slowCut), 0);

	const strict = await startTestServer(t, '--groups', '--max-backlog', '256KiB', '--log-level', 'info');
	const steady = await Promise.all(['/a', '/b'].map((path) => subscribe(t, strict.ws(path))));
	const cut = await openFollower(strict, openGroups(t, strict, '/a'), '/a /b /c');
	assert.equal(await metric(strict, 'pathcast_subscribers'), 5);
	cut.client.ws.pause();
	cut.client.send('remove: /c');
	while ((await metric(strict, slowCut)) === 0) {
		assert.ok(cut.published('/a') < 2_000, 'not disconnected');
		await cut.publish('/a');
		// The others are not held up.
		assert.match((await steady[0]?.nextText()) ?? '', new RegExp(`^${cut.published('/a') - 1} `));
	}
	assert.deepEqual(
		[await metric(strict, 'pathcast_connections'), await metric(strict, 'pathcast_subscribers'), await metric(strict, slowCut)],
		[2, 2, 1],
	);
	await cut.publish('/b');
	assert.match((await steady[1]?.nextText()) ?? '', /^0 /);
	cut.client.ws.resume();
	const answers = await cut.readUntilClosed(1006);
	assert.deepEqual(answers, [changed('/a /b', '', '/c')]);
	assert.equal(strict.log.filter(({ event }) => event === 'slow').length, 1);
});

for (const scheme of ['ws', 'wss']) {
	test(`connections with many channels that pause and read on, again and again, miss nothing on any channel, and their changes are answered in order (${scheme})`, async (t) => {
		const random = seededRandom(t);
		const ledger = new Ledger();
		const flags = ['--groups', '--max-backlog', '64MiB', '--write-timeout', '0', '--log-level', 'info'];
		const server = await startTestServer(t, ...flags, ...(scheme === 'wss' ? tlsFlags : []));
		const target = { ws: (path: string) => server.ws(path).replace(/^ws/, scheme) };
		const options = scheme === 'wss' ? tls : {};
		const channels = Array.from({ length: 6 }, (_, i) => `/m/${i}`);
		let opened = 0;
		const publishers = await Promise.all(
			channels.map(async (channel) => {
				const reference = await subscribe(t, target.ws(channel), options);
				reference.ws.on('message', (data: Buffer) => ledger.watch((async () => ledger.see(channel, data.toString()))()));
				opened++;
				return (bytes: number) => reference.send(ledger.publish(channel, undefined, bytes));
			}),
		);
		const pick = <Item>(items: readonly Item[]): Item => items[random.below(items.length)] ?? assert.fail();
		const some = () => channels.filter(() => random.below(2) === 0);
		const slow: { readonly ws: WebSocket; readonly participant: Participant }[] = [];
		for (const channel of channels.slice(0, 4)) {
			const begun = ledger.now();
			const client = await openGroups(t, target, channel, options);
			slow.push({ ws: client.ws, participant: new Participant(client, channel, ++opened, begun, ledger) });
		}
		const publishSome = async () => {
			for (let i = random.below(8); i > 0; i--) pick(publishers)(pick([10, 130, 1_000, 17_000, 64_000]));
			await ledger.allSeen();
		};
		const changeSome = ({ participant }: { participant: Participant }) => {
			if (participant.mayChange()) participant.change(pick(['subscribe', 'add', 'remove']), some());
		};

		for (let cycle = 0; cycle < 3; cycle++) {
			for (const { ws } of slow) ws.pause();
			for (const one of slow) changeSome(one);
			while ((await kept(server)) === 0) {
				for (const publish of publishers) publish(64_000);
				await ledger.allSeen();
			}
			for (const one of slow) {
				await publishSome();
				changeSome(one);
				await publishSome();
			}
			// They read on one after another, while more is published and changed.
			for (const one of slow) {
				one.ws.resume();
				for (let i = 0; i < 10; i++) await publishSome();
				changeSome(one);
			}
			// Every other time they are paused again before they have caught up.
			if (cycle % 2 === 0) continue;
			await ledger.until(() => slow.every(({ participant }) => participant.isAnswered));
			while ((await kept(server)) > 0) await turn();
		}
		await ledger.until(() => slow.every(({ participant }) => participant.isAnswered));
		for (const publish of publishers) publish(10);
		await ledger.allSeen();
		const hasLast = (participant: Participant) =>
			[...participant.set].every((channel) => participant.got(channel, ledger.last(channel)));
		await ledger.until(() => slow.every(({ participant }) => hasLast(participant)));
		for (const { participant } of slow) participant.check();
		const delivered = slow.reduce((sum, { participant }) => sum + participant.messages, ledger.messages);
		assert.equal(await metric(server, 'pathcast_deliveries_total'), delivered);
		assert.equal(await metric(server, slowCut), 0);
	});
}

test('a paused connection with many channels that is cut gets a piece of each channel without a gap, whatever it had asked for', async (t) => {
	const server = await startTestServer(t, '--groups', '--max-backlog', '1MiB', '--log-level', 'info');
	const cut = new Follower(server, await openGroups(t, server, '/a'));
	await cut.client.change('add: /b /c');
	cut.client.ws.pause();
	for (let i = 0; (await metric(server, slowCut)) === 0; i++) {
		assert.ok(i < 2_000, 'not disconnected');
		await cut.publish(['/a', '/b', '/c'][i % 3] ?? '', 50_000);
		if (i === 40) cut.client.send('subscribe: /b');
	}
	assert.deepEqual(
		[await metric(server, 'pathcast_connections'), await metric(server, 'pathcast_subscribers'), await kept(server)],
		[0, 0, 0],
	);
	cut.client.ws.resume();
	await cut.readUntilClosed(1006);
	assert.equal(await metric(server, slowCut), 1);
});
