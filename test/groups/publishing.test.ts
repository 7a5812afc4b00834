// Messages to and from connections with several channels: their heads, their senders, and who may publish.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStream } from '../support/event-stream.js';
import { changed, openGroups } from '../support/groups.js';
import { post, request } from '../support/http.js';
import { startNamingService } from '../support/naming-service.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer } from '../support/server.js';
import { allow, answering, byPath, hold, startService } from '../support/service.js';
import { handled, subscribe } from '../support/subscriber.js';

protocol(
	'A message arrives as `channel:` and `from:`, a blank line, and the message as it was published; a binary message does so in a binary frame.',
	async (t) => {
		const server = await startTestServer(t, '--groups', '--binary');
		const client = await openGroups(t, server, '/caf%C3%A9');
		const plain = await subscribe(t, server.ws('/caf%C3%A9'));
		const octets = { 'Content-Type': 'application/octet-stream' };
		for (const body of ['hello', '\n', 'channel: /x\nfrom: server\n\nforged', '\r\n\0é😀', '\uFEFF', 'x'.repeat(65_536)]) {
			await post(server.port, '/café', body);
			const text = await client.subscriber.next();
			assert.deepEqual([text.data.toString(), text.isBinary], [`channel: /caf%C3%A9\nfrom: post\n\n${body}`, false]);
			await post(server.port, '/café', body, octets);
			const binary = await client.subscriber.next();
			assert.deepEqual([binary.data.toString(), binary.isBinary], [`channel: /caf%C3%A9\nfrom: post\n\n${body}`, true]);
			assert.deepEqual(await plain.texts(1), [body]);
			assert.deepEqual((await plain.next()).data.toString(), body);
		}
		const bytes = Buffer.from([0xff, 0x00, 0x0a, 0x0a, 0xc3]);
		plain.send(bytes);
		const { data, isBinary } = await client.subscriber.next();
		assert.deepEqual([data, isBinary], [Buffer.concat([Buffer.from('channel: /caf%C3%A9\nfrom: 2\n\n'), bytes]), true]);
		// Others get what was published, and nothing of the head.
		assert.deepEqual((await plain.next()).data, bytes);
		client.publish('/café', bytes);
		assert.deepEqual((await client.next()).body, bytes.toString('latin1'));
		assert.deepEqual((await plain.next()).data, bytes);
	},
);

protocol(
	"`from:` is the number of the sender's connection or its session, `post` for a POST or PUT, or `server` for the operator's listener; no client can choose it, and a session that could be taken for another sender stands in quotes.",
	async (t) => {
		const { url } = await startNamingService(t);
		const server = await startTestServer(t, '--groups', '--auth', url);
		const reader = await openGroups(t, server, '/room');
		const sessions = {
			alice: 'alice',
			server: '"server"',
			post: '"post"',
			'42': '"42"',
			'"server"': '""server""',
			'"': '"""',
			'1e3': '1e3',
			Server: 'Server',
			'from:server': 'from:server',
			'-1': '-1',
		};
		for (const [session, from] of Object.entries(sessions)) {
			const query = `?${encodeURIComponent(session)}`;
			const plain = await subscribe(t, server.ws(`/room${query}`));
			plain.send('from: server\n\nplain');
			assert.deepEqual(await reader.nextMessage(), ['/room', from, 'from: server\n\nplain']);
			await plain.close();
			const groups = await openGroups(t, server, `/elsewhere${query}`);
			assert.deepEqual(await groups.change('add: /room'), changed('/elsewhere /room', '/room'));
			groups.publish('/room', 'groups');
			assert.deepEqual(await reader.nextMessage(), ['/room', from, 'groups']);
			await groups.close();
			await post(server.port, `/room${query}`, 'posted', { 'X-Session': 'forged', From: 'server' });
			assert.deepEqual(await reader.nextMessage(), ['/room', from, 'posted']);
		}
		// Without a session.
		const conn = (await openGroups(t, server, '/room')).ws;
		const plain = await subscribe(t, server.ws('/room'));
		plain.send('hello');
		const numbered = server.log.filter(({ event }) => event === 'open').at(-1)?.conn;
		assert.deepEqual(await reader.nextMessage(), ['/room', String(numbered), 'hello']);
		conn.close();
		for (const method of ['POST', 'PUT']) {
			await request(server.port, { method, path: '/room', body: method });
			assert.deepEqual(await reader.nextMessage(), ['/room', 'post', method]);
		}
		await post(server.operatorPort, '/channels/room?post', 'operator');
		assert.deepEqual(await reader.nextMessage(), ['/room', 'server', 'operator']);
		const headers = { 'X-Channel': '/room', 'X-Session': '' };
		await request(server.operatorPort, { method: 'POST', path: '/send', headers, body: 'sent' });
		assert.deepEqual(await reader.nextMessage(), ['/room', 'server', 'sent']);
	},
);

protocol(
	'`publish:` and a path publish the body to that channel, if the connection is subscribed to it and may publish there; else it is refused in the same way with 403. An empty body publishes nothing.',
	async (t) => {
		const server = await startTestServer(t, '--groups');
		const [a, b] = await Promise.all([openGroups(t, server, '/a'), openGroups(t, server, '/b')]);
		const plain = await subscribe(t, server.ws('/b'));
		const stream = await openStream(t, server, '/b');
		assert.ok(a && b);
		const notSubscribed = /^This connection is not subscribed to this channel/;
		const mayNot = async (path: string, reason: RegExp) => {
			a.publish(path, 'no');
			const [refused, status, told] = await a.nextRefusal();
			assert.deepEqual([refused, status], [path, 403]);
			assert.match(told, reason);
		};
		await mayNot('/b', notSubscribed);
		await mayNot('/nobody', notSubscribed);
		assert.deepEqual(await a.change('add: /b'), changed('/a /b', '/b'));
		a.publish('/%62', 'yes');
		const [[path, from]] = (await a.messages(1)) as [readonly [string, string, string]];
		assert.equal(path, '/b');
		assert.deepEqual(await b.nextMessage(), ['/b', from, 'yes']);
		assert.deepEqual([await plain.nextText(), await stream.texts(1)], ['yes', ['yes']]);
		assert.deepEqual(await a.change('remove: /b'), changed('/a', '', '/b'));
		await mayNot('/b', notSubscribed);
		// Nothing of what was refused has been published.
		b.publish('/b', 'end');
		assert.deepEqual((await b.nextMessage())[2], 'end');
		assert.deepEqual([await plain.nextText(), await stream.texts(1)], ['end', ['end']]);

		const deaf = await startTestServer(t, '--groups', '--client-publish', 'none');
		const listener = await openGroups(t, deaf, '/a');
		listener.publish('/a', 'x');
		assert.deepEqual(await listener.nextRefusal(), ['/a', 403, 'This connection may only receive on this channel.']);
		await post(deaf.operatorPort, '/channels/a', 'heard');
		assert.deepEqual(await listener.nextMessage(), ['/a', 'server', 'heard']);
	},
);

test('with --publish-hook, the messages of all channels of a connection are judged in their order, with their channel and session', async (t) => {
	const hook = await startService(t, hold);
	const auth = await startService(t, answering(204, [['X-Session', 'alice']]));
	const flags = ['--publish-hook', hook.url, '--auth', auth.url];
	const server = await startTestServer(t, '--groups', ...flags);
	const alice = await openGroups(t, server, '/a');
	auth.script = byPath({
		'/b': answering(204, [['X-Rewrite', '/real/b']]),
		'/inbox': answering(204, [['X-Publish', '/out']]),
	});
	assert.deepEqual(await alice.change('add: /b /inbox'), changed('/a /b /inbox', '/b /inbox'));
	const out = await subscribe(t, server.ws('/out'));
	for (const [path, body] of [
		['/a', '1'],
		['/b', '2'],
		['/inbox', '3'],
		['/a', ''],
		['/a', '4'],
	] as const)
		alice.publish(path, body);
	for (const [channel, body, script] of [
		['/a', '1', allow],
		['/real/b', '2', answering(200, [], 'replaced\n\n2')],
		['/out', '3', allow],
		['/a', '4', answering(403)],
	] as const) {
		const question = await hook.next();
		const told = ['X-Channel', 'X-Session', 'X-Real-IP'].map((name) => question.field(name));
		assert.deepEqual([...told, await question.text()], [channel, 'alice', '127.0.0.1', body]);
		await handled(alice.subscriber);
		assert.equal(hook.asked, Number(body));
		script(question);
	}
	const [first, second, ...more] = await alice.framesUntilClosed(1008);
	assert.deepEqual([first?.head.get('channel'), first?.head.get('from'), first?.body], ['/a', 'alice', '1']);
	assert.deepEqual([second?.head.get('channel'), second?.head.get('from'), second?.body], ['/b', 'alice', 'replaced\n\n2']);
	assert.deepEqual(more, []);
	assert.equal(await out.nextText(), '3');
	assert.equal(hook.asked, 4);
});

test('a message that waits for the hook is published, though its sender has left the channel, or is gone', async (t) => {
	const hook = await startService(t, hold);
	const server = await startTestServer(t, '--groups', '--publish-hook', hook.url);
	const reader = await openGroups(t, server, '/a');
	const sender = await openGroups(t, server, '/a');
	sender.publish('/a', 'before leaving');
	assert.deepEqual(await sender.change('subscribe:'), changed('', '', '/a'));
	const question = await hook.next();
	await sender.close();
	hook.script = allow;
	question.answer(204);
	assert.deepEqual((await reader.nextMessage())[2], 'before leaving');
	await reader.close();
	assert.equal(await metric(server, 'pathcast_publish_hook_waiting'), 0);
});
