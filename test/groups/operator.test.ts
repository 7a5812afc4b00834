// Channels that the server takes away from connections with several: the operator closes them, or their authorisation expires.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { changed, openGroups } from '../support/groups.js';
import { post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, metricBecomes, startTestServer, type TestServer } from '../support/server.js';
import { type Script, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';
import { type Follower, kept, openFollower, slowCut } from './support/follower.js';

const leftByOperator = (subscribed: string, path: string) => ({
	...changed(subscribed, '', path),
	reason: 'the channel was closed',
});
const leftByAge = (subscribed: string, path: string) => ({ ...changed(subscribed, '', path), reason: 'authorisation expired' });

/** Closes a channel with a last message, and gives how many subscriptions that ended. */
async function close(server: TestServer, path: string, body: string): Promise<number> {
	const answer = await request(server.operatorPort, { method: 'DELETE', path: `/channels${path}`, body });
	assert.equal(answer.status, 200, answer.body);
	return JSON.parse(answer.body).closed;
}

/** A burst of messages to a channel, and its close with a last one, in one write. */
function burstAndClose(follower: Follower, path: string): string {
	const request = (method: string) => {
		const text = follower.text(path, 900);
		return `${method} /channels${path} HTTP/1.1\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
	};
	return Array.from({ length: 201 }, (_, i) => request(i < 200 ? 'POST' : 'DELETE')).join('');
}

/** A service that leaves the questions about /held to the test, and lets those about /short expire after a second. */
async function startHolding(t: TestContext) {
	const script: Script = (question) => {
		const path = question.field('X-Original-URI') ?? '';
		if (path !== '/held') question.answer(204, path.startsWith('/short') ? [['X-Max-Age', '1']] : []);
	};
	const service = await startService(t, script);
	return {
		url: service.url,
		/** The next question about /held. */
		async held() {
			for (;;) {
				const question = await service.next();
				if (question.field('X-Original-URI') === '/held') return question;
			}
		},
	};
}

protocol(
	'When the operator closes a channel, or the authorisation of a path of a change expires, the connection stays, and is told `left:` with the path and `reason:` after the last message, in a frame as after a change, which answers none; `X-Max-Age` of the handshake closes the connection, also if it has left that path.',
	async (t) => {
		const { url } = await startHolding(t);
		// So small that a burst takes several ticks, with rests between them.
		const server = await startTestServer(t, '--groups', '--auth', url, '--max-message', '1KiB', '--max-backlog', '256KiB');
		const several = await openFollower(server, openGroups(t, server, '/b'), '/a /b');
		const only = await openFollower(server, openGroups(t, server, '/a'), '/a');
		const plain = await subscribe(t, server.ws('/a'));
		const operator = new RawConnection(server.operatorPort);
		await operator.write(burstAndClose(several, '/a'));
		assert.deepEqual(await several.answer(), leftByOperator('/b', '/a'));
		assert.equal(several.seen('/a'), 201);
		assert.deepEqual(await only.answer(), leftByOperator('', '/a'));
		assert.equal(only.seen('/a'), 201);
		assert.equal((await plain.textsUntilClosed(1000)).length, 201);
		for (let i = 0; i < 200; i++) await operator.answer();
		assert.deepEqual(JSON.parse((await operator.answer()).body), { closed: 3 });
		operator.end();
		// The channel is another one now, which both may join.
		assert.equal((await post(server.port, '/a', 'unheard')).headers.get('x-subscribers'), '0');
		for (const follower of [several, only]) await follower.client.change('add: /a');
		for (const follower of [several, only]) follower.joins('/a');
		await several.publish('/a', 10);
		await several.publish('/b', 10);
		await several.readAll('/a', '/b');
		assert.match((await only.client.nextMessage())[2], /^201 /);

		// An expired path leaves the set after its last message, and the other paths stay.
		assert.deepEqual(await several.client.change('add: /short /short/too /long'), {
			...changed('/b /a /short /short/too /long', '/short /short/too /long'),
		});
		const left: string[] = [];
		let subscribed = '';
		let isOver = false;
		// Together, or each when its channel has sent what was published before.
		const expiring = (async () => {
			while (left.length < 2) {
				const answer = await several.answer();
				assert.equal(answer.reason, 'authorisation expired');
				left.push(...(answer.left ?? '').split(' '));
				subscribed = answer.subscribed ?? '';
			}
		})().finally(() => {
			isOver = true;
		});
		while (!isOver) for (const channel of ['/b', '/short', '/short/too', '/long']) await several.publish(channel, 900);
		await expiring;
		assert.deepEqual([left.sort(), subscribed], [['/short', '/short/too'], '/b /a /long']);
		assert.equal((await post(server.port, '/short', 'unheard')).headers.get('x-subscribers'), '0');
		await several.readAll('/b', '/long');
		assert.equal(await metric(server, 'pathcast_connections'), 2);
		assert.equal(await metric(server, 'pathcast_subscribers'), 4);
	},
);

test('a channel that expires before the rest leaves at its own time, also if its path is joined again', async (t) => {
	const { url } = await startHolding(t);
	const server = await startTestServer(t, '--groups', '--auth', url, '--auth-timeout', '60s');
	const client = await openGroups(t, server, '/a');
	for (let round = 0; round < 2; round++) {
		await client.change('add: /short');
		// It leaves, and joins again with a second of its own.
		assert.deepEqual(await client.change('remove: /short'), changed('/a', '', '/short'));
		const joinedMs = performance.now();
		await client.change('add: /short');
		assert.deepEqual(await client.nextAnswer(), leftByAge('/a', '/short'));
		const afterMs = performance.now() - joinedMs;
		assert.ok(afterMs >= 1_000, `after ${afterMs} ms`);
	}
});

test('subscriptions that expire together are told together', async (t) => {
	const { url } = await startHolding(t);
	const server = await startTestServer(t, '--groups', '--auth', url);
	const client = await openGroups(t, server, '/a');
	await client.change('add: /short /b /short/too');
	assert.deepEqual(await client.nextAnswer(), leftByAge('/a /b', '/short /short/too'));
	assert.equal(await metric(server, 'pathcast_subscribers'), 2);
});

for (const change of ['subscribe: /b /held', 'remove: /a', 'add: /held', 'subscribe: /a /b /held', 'add: /a /held']) {
	test(`a channel that the operator closes while a change waits for the service is told once, before the answer: ${change}`, async (t) => {
		const { url, held } = await startHolding(t);
		const server = await startTestServer(t, '--groups', '--auth', url, '--auth-timeout', '60s');
		const follower = await openFollower(server, openGroups(t, server, '/a'), '/a /b');
		// The first change waits; the one about the channel waits with it, or behind it.
		if (!change.includes('/held')) follower.client.send('add: /held');
		follower.client.send(change);
		const question = await held();
		await follower.publish('/a', 10);
		assert.equal(await close(server, '/a', follower.text('/a', 10)), 1);
		assert.deepEqual(await follower.answer(), leftByOperator('/b', '/a'));
		assert.equal(follower.seen('/a'), 2);
		await follower.publish('/b', 10);
		await follower.readAll('/b');
		question.answer(204);
		// A change whose channels have all been asked about does not join the channel anew.
		assert.deepEqual(await follower.answer(), changed('/b /held', '/held'));
		if (change === 'remove: /a') assert.deepEqual(await follower.answer(), changed('/b /held'));
		await follower.publish('/b', 10);
		await follower.readAll('/b');
		assert.equal((await post(server.port, '/a', 'unheard')).headers.get('x-subscribers'), '0');
	});
}

test('in any order of a burst, a change and the close of a channel, the connection gets one piece of the burst without a gap, and leaves once', async (t) => {
	const server = await startTestServer(t, '--groups', '--max-message', '1KiB', '--max-backlog', '256KiB');
	for (const [round, change] of ['subscribe: /b', 'remove: /a', 'add: /c', 'subscribe: /a /b /c'].entries()) {
		for (let repeat = 0; repeat < 8; repeat++) {
			const follower = await openFollower(server, openGroups(t, server, '/b'), '/a /b');
			const operator = new RawConnection(server.operatorPort);
			const plain = await subscribe(t, server.ws('/a'));
			void operator.write(burstAndClose(follower, '/a'));
			// At the start of the burst, or somewhere in it.
			await plain.texts(1 + repeat * 20);
			follower.client.send(change);
			follower.client.publish('/b', follower.text('/b', 10));
			const leaves = round < 2;
			const answers = [await follower.answer()];
			if (!leaves || answers[0]?.reason !== undefined) answers.push(await follower.answer());
			const byOperator = answers.filter(({ reason }) => reason !== undefined);
			const left = answers.filter((answer) => answer.left === '/a');
			assert.equal(left.length, 1, JSON.stringify(answers));
			assert.equal(byOperator.length, leaves ? byOperator.length : 1);
			// A connection that leaves by a change may leave in the midst of the burst. A connection whose channel is closed gets all of it.
			if (byOperator.length > 0) assert.equal(follower.seen('/a'), 201);
			assert.ok(follower.seen('/a') >= 1 + repeat * 20);
			await follower.readAll('/b');
			assert.equal((await plain.textsUntilClosed(1000)).length, 201 - 1 - repeat * 20);
			await follower.publish('/b', 10);
			await follower.readAll('/b');
			operator.end();
			await follower.client.close();
			await metricBecomes(server, 'pathcast_connections', 0);
		}
	}
});

test('a slow connection whose channel the operator closes gets all of that channel, is told, and catches up on the others', async (t) => {
	for (const change of [undefined, 'subscribe: /b /d', 'add: /d']) {
		const server = await startTestServer(t, '--groups', '--max-backlog', '64MiB', '--log-level', 'info');
		const slow = await openFollower(server, openGroups(t, server, '/a'), '/a /b /c');
		slow.client.ws.pause();
		await slow.publishUntilKept('/a');
		for (let i = 0; i < 10; i++) for (const channel of ['/a', '/b', '/c']) await slow.publish(channel);
		assert.ok((await kept(server)) >= 30 * 64_000);
		if (change !== undefined) slow.client.send(change);
		assert.equal(await close(server, '/a', slow.text('/a', 10)), 1);
		assert.equal((await post(server.port, '/a', 'unheard')).headers.get('x-subscribers'), '0');
		for (const channel of ['/c', '/b']) await slow.publish(channel);
		slow.client.ws.resume();
		assert.deepEqual(await slow.answer(), leftByOperator('/b /c', '/a'));
		assert.equal(slow.seen('/a'), slow.published('/a'));
		if (change !== undefined) {
			slow.joins('/d');
			const answer = await slow.answer();
			assert.deepEqual(answer, change === 'add: /d' ? changed('/b /c /d', '/d') : changed('/b /d', '/d', '/c'));
			for (const channel of ['/b', '/c']) assert.equal(slow.seen(channel), slow.published(channel));
			await slow.publish('/d');
			await slow.readAll('/d');
		}
		await slow.readAll('/b', '/c');
		await slow.publish('/b', 10);
		await slow.readAll('/b');
		assert.equal(await kept(server), 0);
		assert.equal(await metric(server, slowCut), 0);
	}
});
