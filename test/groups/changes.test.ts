// Changes of the channels of one connection, and the messages around them.
import assert from 'node:assert/strict';
import { changed, openGroups } from '../support/groups.js';
import { handshakeHeaders, post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metricBecomes, startTestServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const textsOf = (what: string, count: number) => Array.from({ length: count }, (_, i) => `${what} ${i}`);

/** POSTs to the clients' port that come in one write. */
function pipelined(path: string, bodies: readonly string[]): string {
	return bodies.map((body) => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`).join('');
}

protocol(
	'Each change is answered, in the order of the changes, by `subscribed:`, `joined:` and `left:` with paths, after the last message of what was left and before the first of what was joined.',
	async (t) => {
		const server = await startTestServer(t, '--groups');
		const client = await openGroups(t, server, '/a');
		const heads = ['add: /b /c', 'remove: /a /nowhere', 'subscribe: /c /d', 'add: /d', 'subscribe:', 'subscribe: /a'];
		for (const head of heads) client.send(head);
		const answers = [
			changed('/a /b /c', '/b /c'),
			changed('/b /c', '', '/a'),
			changed('/c /d', '/d', '/b'),
			changed('/c /d'),
			changed('', '', '/c /d'),
			changed('/a', '/a'),
		];
		for (const answer of answers) assert.deepEqual(await client.nextAnswer(), answer);

		// More than go out in one tick, so that they wait for the next ones: what is left sends all of it before the answer.
		const other = await openGroups(t, server, '/b');
		await other.change('add: /a');
		const before = textsOf('before', 100);
		const after = textsOf('after', 100);
		for (const body of before) client.publish('/a', body);
		client.send('subscribe: /b');
		client.send('add: /c');
		assert.deepEqual(
			await client.messages(100),
			before.map((body) => ['/a', '1', body]),
		);
		assert.deepEqual(await client.nextAnswer(), changed('/b', '/b', '/a'));
		assert.deepEqual(await client.nextAnswer(), changed('/b /c', '/c'));
		await other.messages(100);

		// A channel that is joined while it sends a burst: nothing before the answer, then one piece of its order, to its end.
		for (const body of before) other.publish('/b', body);
		const late = await openGroups(t, server, '/a');
		late.send('add: /b');
		for (const body of after) other.publish('/b', body);
		assert.deepEqual(await late.nextAnswer(), changed('/a /b', '/b'));
		other.publish('/b', 'end');
		const order = [...before, ...after, 'end'];
		const heard: string[] = [];
		while (heard.at(-1) !== 'end') heard.push((await late.nextMessage())[2]);
		assert.deepEqual(heard, order.slice(-heard.length));
	},
);

protocol(
	'A channel has one order for all subscribers, whether a subscriber has one channel or several; a message on two channels of a connection comes twice, once for each.',
	async (t) => {
		const server = await startTestServer(t, '--groups');
		const first = await openGroups(t, server, '/room');
		const second = await openGroups(t, server, '/other');
		await second.change('add: /room');
		const plain = await Promise.all([1, 2].map(() => subscribe(t, server.ws('/room'))));
		const posting = new RawConnection(server.port);
		for (const text of textsOf('first', 100)) first.publish('/room', text);
		for (const text of textsOf('second', 100)) second.publish('/room', text);
		for (const text of textsOf('plain', 100)) plain[0]?.send(text);
		await posting.write(pipelined('/room', textsOf('post', 100)));
		const [seen = [], ...others] = await Promise.all([
			...plain.map((subscriber) => subscriber.texts(400)),
			...[first, second].map(async (client) => (await client.messages(400)).map(([, , text]) => text)),
		]);
		for (const other of others) assert.deepEqual(other, seen);
		for (const who of ['first', 'second', 'plain', 'post']) {
			const own = seen.filter((text) => text.startsWith(who));
			assert.deepEqual(own, textsOf(who, 100));
		}
		posting.end();

		const headers = { 'X-Channel': ['/room', '/other'] };
		await request(server.operatorPort, { method: 'POST', path: '/send', headers, body: 'twice' });
		assert.deepEqual((await second.messages(2)).sort(), [
			['/other', 'server', 'twice'],
			['/room', 'server', 'twice'],
		]);
		await post(server.port, '/other', 'once');
		assert.deepEqual(await second.nextMessage(), ['/other', 'post', 'once']);
	},
);

protocol('A change loses no message of a channel that is in the set before and after it.', async (t) => {
	const server = await startTestServer(t, '--groups');
	const client = await openGroups(t, server, '/kept');
	const publisher = await openGroups(t, server, '/kept');
	const received: string[] = [];
	const answers: string[] = [];
	const take = async (until: () => boolean) => {
		while (!until()) {
			const { head, body } = await client.next();
			if (head.has('channel')) received.push(body);
			else answers.push(String(head.get('subscribed')));
		}
	};
	const changes = ['add: /a', 'subscribe: /kept /b', 'remove: /a /b', 'subscribe: /c /kept', 'subscribe: /kept'];
	const sent: string[] = [];
	for (const [nth, change] of changes.entries()) {
		// Single messages, and bursts that go out in several ticks, around each change.
		for (const count of [1, 100, 1]) {
			const texts = textsOf(`${nth} ${count} ${sent.length}`, count);
			for (const text of texts) publisher.publish('/kept', text);
			sent.push(...texts);
			if (count === 100) client.send(change);
		}
		if (nth % 2 === 0) await take(() => answers.length > nth);
	}
	await take(() => received.length === sent.length && answers.length === changes.length);
	assert.deepEqual(received, sent);
	assert.deepEqual(answers, ['/kept /a', '/kept /b', '/kept', '/c /kept', '/kept']);
});

/** Asks for a websocket on that path, and gives the status. */
async function upgrade({ port }: TestServer, path: string): Promise<number> {
	return (await request(port, { path, headers: handshakeHeaders })).status;
}

protocol(
	'Subscriptions count for `--max-channels` and `--max-subscribers`, and in `X-Subscribers`; connections count for `--max-connections`.',
	async (t) => {
		const flags = ['--max-channels', '3', '--max-subscribers', '2', '--max-connections', '3'];
		const server = await startTestServer(t, '--groups', ...flags);
		const client = await openGroups(t, server, '/a');
		await client.change('add: /b /c');
		const other = await openGroups(t, server, '/a');
		for (const [path, subscribers] of [
			['/a', '2'],
			['/b', '1'],
			['/d', '0'],
		] as const) {
			assert.equal((await post(server.port, path, 'x')).headers.get('x-subscribers'), subscribers);
		}
		assert.deepEqual(await client.messages(2), [
			['/a', 'post', 'x'],
			['/b', 'post', 'x'],
		]);
		assert.deepEqual(await other.nextMessage(), ['/a', 'post', 'x']);

		// Five subscriptions are two connections.
		const refusals: [head: string, path: string, flag: string][] = [
			['add: /b /d', '/d', '--max-channels'],
			['subscribe: /e /f', '/e', '--max-channels'],
		];
		for (const [head, path, flag] of refusals) {
			other.send(head);
			const [refused, status, reason] = await other.nextRefusal();
			assert.deepEqual([refused, status, reason.includes(`(${flag})`)], [path, 503, true], reason);
		}
		const third = await openGroups(t, server, '/b');
		assert.equal(await upgrade(server, '/c'), 503);
		third.send('add: /c /a');
		const [refused, status, reason] = await third.nextRefusal();
		assert.deepEqual([refused, status, reason.includes('(--max-subscribers)')], ['/a', 503, true], reason);
		assert.equal((await post(server.port, '/c', 'x')).headers.get('x-subscribers'), '1');
		assert.deepEqual(await client.nextMessage(), ['/c', 'post', 'x']);

		// The connection leaves two channels, which makes room for others.
		assert.deepEqual(await client.change('remove: /a /c'), changed('/b', '', '/a /c'));
		assert.deepEqual(await third.change('add: /a /d'), changed('/b /a /d', '/a /d'));
		await third.close();
		await metricBecomes(server, 'pathcast_connections', 2);
		assert.equal(await upgrade(server, '/b'), 101);
	},
);
