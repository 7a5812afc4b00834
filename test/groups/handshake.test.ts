// Which websockets speak pathcast.groups.v1, and what the handshake says of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changed, groupsProtocol, openGroups } from '../support/groups.js';
import { handshakeHeaders, post, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { answering, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';

/** The status of an upgrade that offers these subprotocols, the one that it is answered with, and the reason of a refusal. */
async function offer({ port }: TestServer, offered: string, headers: Record<string, string> = {}) {
	const answer = await request(port, {
		path: '/room',
		headers: { ...handshakeHeaders, ...headers, 'Sec-WebSocket-Protocol': offered },
	});
	return { status: answer.status, chosen: answer.headers.get('sec-websocket-protocol'), body: answer.body };
}

protocol(
	'With `--groups`, a websocket that offers the subprotocol `pathcast.groups.v1`, alone or among others, gets it and speaks it; all other websockets are unchanged.',
	async (t) => {
		const server = await startTestServer(t, '--groups');
		for (const offered of [groupsProtocol, `chat, ${groupsProtocol}`, `${groupsProtocol},chat`, `, ,a,${groupsProtocol} ,b`]) {
			const { status, chosen } = await offer(server, offered);
			assert.deepEqual([status, chosen], [101, groupsProtocol], offered);
		}
		// The names of subprotocols are compared letter by letter (RFC 6455, section 4.1).
		for (const other of ['chat', 'Pathcast.groups.v1', 'pathcast.groups.v10', 'pathcast.groups'])
			assert.equal((await offer(server, other)).chosen, other);

		const groups = await openGroups(t, server, '/room');
		const plain = await subscribe(t, server.ws('/room'), {}, ['chat']);
		const bare = await subscribe(t, server.ws('/room'));
		assert.deepEqual([plain.ws.protocol, bare.ws.protocol], ['chat', '']);
		// A websocket without the subprotocol publishes the same bytes as a message.
		const text = 'subscribe: /elsewhere\n\n';
		plain.send(text);
		for (const reader of [plain, bare]) assert.equal(await reader.nextText(), text);
		assert.equal((await groups.nextMessage())[2], text);
		assert.deepEqual(await groups.change('subscribe: /elsewhere'), changed('/elsewhere', '/elsewhere', '/room'));
	},
);

protocol(
	'Without `--groups`, an upgrade that offers this subprotocol alone is refused with 400; of several, the first other one is the answer.',
	async (t) => {
		const server = await startTestServer(t);
		for (const offered of [groupsProtocol, `${groupsProtocol}, ${groupsProtocol}`, `,${groupsProtocol}`]) {
			const { status, chosen, body } = await offer(server, offered);
			assert.deepEqual([status, chosen], [400, undefined], offered);
			assert.match(body, /--groups/);
		}
		for (const offered of [`${groupsProtocol}, chat, talk`, `chat, ${groupsProtocol}, talk`]) {
			const { status, chosen } = await offer(server, offered);
			assert.deepEqual([status, chosen], [101, 'chat'], offered);
		}
		const plain = await subscribe(t, server.ws('/room'), {}, [groupsProtocol, 'chat']);
		plain.send('subscribe: /elsewhere');
		assert.equal(await plain.nextText(), 'subscribe: /elsewhere');
		assert.equal(await metric(server, 'pathcast_channels'), 1);
	},
);

test('--origin holds for a websocket with several channels: one of another origin is refused and has none', async (t) => {
	const server = await startTestServer(t, '--groups', '--origin', 'https://app.example');
	const denied = await offer(server, groupsProtocol, { Origin: 'https://evil.example' });
	assert.deepEqual([denied.status, denied.chosen], [403, undefined]);
	assert.equal(await metric(server, 'pathcast_subscribers'), 0);
	const client = await openGroups(t, server, '/room', { origin: 'https://app.example' });
	assert.deepEqual(await client.change('add: /other'), changed('/room /other', '/other'));
});

test('a browser that offers `bearer`, a token and pathcast.groups.v1 is asked about with the token, for each path', async (t) => {
	const service = await startService(t);
	const server = await startTestServer(t, '--groups', '--auth', service.url);
	const client = await subscribe(t, server.ws('/room'), {}, ['bearer', 'a.b-c_d', groupsProtocol]);
	assert.equal(client.ws.protocol, groupsProtocol);
	client.send('add: /other');
	assert.match(await client.nextText(), /^subscribed: \/room \/other\n/);
	for (const question of await service.take(2)) assert.equal(question.field('authorization'), 'Bearer a.b-c_d');
});

test('an upgrade that is refused leaves no connection and no channel, whatever subprotocol it offers', async (t) => {
	const service = await startService(t, answering(403, [], 'no'));
	const server = await startTestServer(t, '--groups', '--auth', service.url);
	assert.equal((await offer(server, groupsProtocol)).status, 403);
	assert.equal((await offer(server, `a b, ${groupsProtocol}`)).status, 400);
	for (const name of ['pathcast_connections', 'pathcast_subscribers', 'pathcast_channels'])
		assert.equal(await metric(server, name), 0, name);
});

test('the path of the handshake is a channel at once, and its query is no part of it', async (t) => {
	const server = await startTestServer(t, '--groups');
	const client = await openGroups(t, server, '/caf%C3%A9%3F?token=1');
	await post(server.port, '/caf%C3%A9%3F', 'hello');
	assert.deepEqual(await client.nextMessage(), ['/caf%C3%A9%3F', 'post', 'hello']);
	assert.deepEqual(await client.change('add:'), changed('/caf%C3%A9%3F'));
});

test('the service gets the token of a client that offers `bearer` and the token, before or after pathcast.groups.v1', async (t) => {
	const service = await startService(t);
	for (const flags of [['--groups'], []]) {
		const server = await startTestServer(t, ...flags, '--auth', service.url);
		const chosen = flags.length > 0 ? groupsProtocol : 'bearer';
		for (const offered of [
			`${groupsProtocol}, bearer, a.b`,
			`bearer, a.b, ${groupsProtocol}`,
			`bearer, ${groupsProtocol}, a.b`,
		]) {
			assert.equal((await offer(server, offered)).chosen, chosen, offered);
			assert.equal((await service.next()).field('Authorization'), 'Bearer a.b', offered);
		}
	}
});

test('no subprotocol is echoed that is not a token, wherever it stands in the list', async (t) => {
	for (const flags of [['--groups'], []]) {
		const server = await startTestServer(t, ...flags);
		for (const offered of [`${groupsProtocol}, a b"{}`, `a b"{}, ${groupsProtocol}`, 'chat, a b'])
			assert.equal((await offer(server, offered)).status, 400, offered);
	}
});
