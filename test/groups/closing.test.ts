// How connections with many channels are closed: once, after everything that was published to them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changed, type GroupClient, openGroups } from '../support/groups.js';
import { RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { answering, type Script, startService } from '../support/service.js';
import { Follower, kept, openFollower } from './support/follower.js';

const moved = 'connections are being moved; connect again';
const restarting = 'the server is restarting; connect again';
const tooOld = 'the connection has reached --max-age; connect again';
// So small that a burst takes several ticks, with rests between them.
const small = ['--groups', '--max-message', '1KiB', '--max-backlog', '256KiB'];

/** Allows every path but /held, whose questions wait. */
const allowUnlessHeld: Script = (question) => {
	if (question.field('X-Original-URI') !== '/held') question.answer(204);
};

/** Requests to the operator's listener in one write: bursts to channels of several connections at once, and what comes after. */
function burstAnd(after: string, followers: readonly Follower[], channels: readonly string[]): string {
	const requests = Array.from({ length: 200 }, () =>
		channels.map((channel) => {
			// Each has the same count.
			const [text = ''] = followers.map((follower) => follower.text(channel, 900));
			return `POST /channels${channel} HTTP/1.1\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
		}),
	);
	return `${requests.flat().join('')}${after} HTTP/1.1\r\nContent-Length: 0\r\n\r\n`;
}

async function assertClosed({ closed }: GroupClient, code: number, reason: string): Promise<void> {
	assert.deepEqual(await closed, { code, reason });
}

protocol('`/drain`, `--max-age` and stopping close the connection once, after the last message of each channel.', async (t) => {
	const channels = ['/a', '/b', '/c'];
	for (const [after, cause, reason] of [
		['POST /drain?over=0s', 'moved', moved],
		['POST /drain', 'stopping', restarting],
	] as const) {
		const service = await startService(t, allowUnlessHeld);
		const server = await startTestServer(t, ...small, '--auth', service.url, '--auth-timeout', '60s');
		const open = () => openGroups(t, server, '/a');
		const full = await openFollower(server, open(), '/a /b /c');
		const asking = await openFollower(server, open(), '/c /b /a');
		const empty = await openFollower(server, open(), '');
		await service.take(7);
		asking.client.send('subscribe: /b /held');
		const question = await service.next();
		const operator = new RawConnection(server.operatorPort);
		await operator.write(burstAnd(after, [full, asking], channels));
		for (const { client } of [full, asking, empty]) await assertClosed(client, 1012, reason);
		for (const follower of [full, empty]) assert.deepEqual(await follower.readUntilClosed(1012), []);
		// A server that stops answers what waits for the service, and asks it nothing more.
		const refused = { refused: '/held', command: 'subscribe', status: '503' };
		assert.deepEqual(await asking.readUntilClosed(1012), cause === 'stopping' ? [refused] : []);
		for (const follower of [full, asking])
			assert.deepEqual(
				channels.map((channel) => follower.seen(channel)),
				[200, 200, 200],
			);
		await question.takenBack;
		operator.end();
		if (cause === 'stopping') continue;
		assert.equal(await metric(server, `pathcast_disconnects_total{reason="${cause}"}`), 3);
		for (const name of ['pathcast_connections', 'pathcast_subscribers', 'pathcast_channels'])
			assert.equal(await metric(server, name), 0, name);
	}

	const server = await startTestServer(t, ...small, '--max-age', '1s');
	const full = await openFollower(server, openGroups(t, server, '/a'), '/a /b /c');
	const empty = await openFollower(server, openGroups(t, server, '/a'), '');
	let isOver = false;
	void full.client.closed.then(() => {
		isOver = true;
	});
	while (!isOver) for (const channel of channels) await full.publish(channel, 900);
	for (const { client } of [full, empty]) await assertClosed(client, 1012, tooOld);
	for (const follower of [full, empty]) assert.deepEqual(await follower.readUntilClosed(1012), []);
	assert.equal(await metric(server, 'pathcast_disconnects_total{reason="age"}'), 2);
});

test('a change that waits for a burst when the server closes the connection is made after the burst, or not at all', async (t) => {
	const server = await startTestServer(t, ...small);
	for (let round = 0; round < 20; round++) {
		const client = new Follower(server, await openGroups(t, server, '/a'));
		for (let i = 0; i < 200; i++) client.client.publish('/a', client.text('/a', 900));
		client.client.send('subscribe: /b');
		await client.client.subscriber.next().then((frame) => assert.match(frame.data.toString(), /\n\n0 /));
		client.joins('/b');
		await request(server.operatorPort, { method: 'POST', path: '/drain?over=0s' });
		await assertClosed(client.client, 1012, moved);
		const frames = await client.client.framesUntilClosed(1012);
		const bodies = frames.filter(({ head }) => head.has('channel')).map(({ body }) => Number(body.split(' ')[0]));
		assert.deepEqual(
			bodies,
			Array.from({ length: bodies.length }, (_, i) => i + 1),
		);
		const answers = frames.filter(({ head }) => !head.has('channel')).map(({ head }) => Object.fromEntries(head));
		if (answers.length > 0) {
			assert.deepEqual(answers, [changed('/b', '/b', '/a')]);
			assert.equal(bodies.length, 199);
		}
		assert.ok(
			frames.slice(0, bodies.length).every(({ head }) => head.has('channel')),
			'the answer comes last',
		);
	}
	assert.equal(await metric(server, 'pathcast_disconnects_total{reason="moved"}'), 20);
});

/** A connection that does not read, with something kept for it on each of its channels, and a change that waits. */
async function openSlow(server: TestServer, opening: Promise<GroupClient>): Promise<Follower> {
	const slow = await openFollower(server, opening, '/a /b /c');
	slow.client.ws.pause();
	await slow.publishUntilKept('/b');
	for (let i = 0; i < 10; i++) for (const channel of ['/a', '/b', '/c']) await slow.publish(channel);
	assert.ok((await kept(server)) >= 30 * 64_000);
	slow.client.send('subscribe: /d');
	return slow;
}

const closingCount = async ({ operatorPort }: TestServer): Promise<number> =>
	JSON.parse((await request(operatorPort, { path: '/stats' })).body).closing_connections;

for (const [path, reason] of [
	['/drain?over=0s', moved],
	['/drain', restarting],
] as const) {
	test(`a slow connection with many channels that is closed reads everything before its close frame: ${path}`, async (t) => {
		const server = await startTestServer(t, '--groups', '--max-backlog', '64MiB', '--log-level', 'info');
		const slow = await openSlow(server, openGroups(t, server, '/a'));
		await request(server.operatorPort, { method: 'POST', path });
		slow.client.ws.resume();
		await assertClosed(slow.client, 1012, reason);
		const answers = await slow.readUntilClosed(1012);
		assert.deepEqual(answers, []);
		for (const channel of ['/a', '/b', '/c']) assert.equal(slow.seen(channel), slow.published(channel), channel);
	});
}

test('a slow connection with many channels that is being moved is closed as moved, also if the operator closes one of its channels', async (t) => {
	const server = await startTestServer(t, '--groups', '--max-backlog', '64MiB', '--log-level', 'info');
	const slow = await openSlow(server, openGroups(t, server, '/a'));
	await request(server.operatorPort, { method: 'POST', path: '/drain?over=0s' });
	while ((await closingCount(server)) === 0);
	const { status, body } = await request(server.operatorPort, { method: 'DELETE', path: '/channels/b' });
	assert.deepEqual([status, JSON.parse(body)], [200, { closed: 1 }]);
	slow.client.ws.resume();
	await assertClosed(slow.client, 1012, moved);
	await slow.readUntilClosed(1012);
	for (const channel of ['/a', '/b', '/c']) assert.equal(slow.seen(channel), slow.published(channel), channel);
});

test('the age that the service gives a connection at its handshake ends it as a whole', async (t) => {
	const service = await startService(t, answering(204, [['X-Max-Age', '1']]));
	const server = await startTestServer(t, '--groups', '--auth', service.url, '--auth-timeout', '60s');
	const { client } = await openFollower(server, openGroups(t, server, '/a'), '');
	await assertClosed(client, 1008, 'authorisation expired');
	assert.equal(await metric(server, 'pathcast_disconnects_total{reason="expired"}'), 1);
});
