// Connections with many channels in the metrics, in /stats and in webhooks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changed, openGroups } from '../support/groups.js';
import { post, request } from '../support/http.js';
import { namesOf, startReceiver } from '../support/receiver.js';
import { metric, metricBecomes, startTestServer, type TestServer } from '../support/server.js';
import { answering, type Script, startService } from '../support/service.js';
import { subscribe } from '../support/subscriber.js';

/** Connections, subscriptions and channels, by the metrics and by /stats, which must say the same. */
async function counts(server: TestServer): Promise<number[]> {
	const stats = JSON.parse((await request(server.operatorPort, { path: '/stats' })).body);
	const names = ['pathcast_connections', 'pathcast_subscribers', 'pathcast_channels'];
	const values = await Promise.all(names.map((name) => metric(server, name)));
	assert.deepEqual(values, [stats.connections, stats.subscriptions, stats.channels]);
	return values;
}

test('a websocket on several channels counts as one connection, and as a subscriber of each', async (t) => {
	const server = await startTestServer(t, '--groups');
	const client = await openGroups(t, server, '/a');
	await subscribe(t, server.ws('/b'));
	assert.deepEqual(await counts(server), [2, 2, 2]);
	await client.change('add: /b /c /d /a');
	assert.deepEqual(await counts(server), [2, 5, 4]);
	const { body } = await request(server.operatorPort, { path: '/channels' });
	const listed: { channel: string; subscribers: number }[] = JSON.parse(body).channels;
	const byPath = Object.fromEntries(listed.map(({ channel, subscribers }) => [channel, subscribers]));
	assert.deepEqual(byPath, { '/a': 1, '/b': 2, '/c': 1, '/d': 1 });
	for (const path of ['/b', '/c', '/e']) await post(server.port, path, 'x');
	await client.messages(2);
	assert.equal(await metric(server, 'pathcast_deliveries_total'), 3);
	assert.equal(await metric(server, 'pathcast_messages_unheard_total'), 1);

	await client.change('subscribe: /d');
	assert.deepEqual(await counts(server), [2, 2, 2]);
	await client.change('subscribe:');
	assert.deepEqual(await counts(server), [2, 1, 1]);
	await client.change('add: /b');
	await request(server.operatorPort, { method: 'DELETE', path: '/channels/b' });
	assert.equal((await client.nextAnswer()).reason, 'the channel was closed');
	assert.deepEqual(await counts(server), [1, 0, 0]);
	await client.change('add: /a /b');
	await client.close();
	await metricBecomes(server, 'pathcast_connections', 0);
	assert.deepEqual(await counts(server), [0, 0, 0]);
	assert.equal(await metric(server, 'pathcast_connections_opened_total'), 2);
	for (const [reason, count] of [
		['operator', 1],
		['client', 1],
		['slow', 0],
		['fault', 0],
	] as const)
		assert.equal(await metric(server, `pathcast_disconnects_total{reason="${reason}"}`), count, reason);
});

test('webhooks tell of a channel that a change opens or leaves empty, and of the connection once', async (t) => {
	const receiver = await startReceiver(t);
	const server = await startTestServer(t, '--groups', '--webhook', receiver.url);
	const other = await subscribe(t, server.ws('/shared'));
	const client = await openGroups(t, server, '/a');
	await client.change('add: /b /shared /c');
	await client.change('subscribe: /c /d /b');
	// A page that goes back and forth closes and opens nothing.
	await client.change('remove: /b');
	await client.change('add: /b');
	const told = await receiver.nextUntil('channel_closed');
	assert.deepEqual(namesOf(told), [
		'channel_opened /shared',
		'connect /shared',
		'channel_opened /a',
		'connect /a',
		'channel_opened /b',
		'channel_opened /c',
		'channel_opened /d',
		'channel_closed /a',
	]);
	await client.close();
	await other.close();
	await server.stop();
	const rest = receiver.rest();
	assert.deepEqual(namesOf(rest).sort(), [
		'channel_closed /b',
		'channel_closed /c',
		'channel_closed /d',
		'channel_closed /shared',
		'disconnect /a',
		'disconnect /shared',
	]);
	const [disconnect] = rest.filter(({ path }) => path === '/a');
	assert.deepEqual([disconnect?.cause, disconnect?.conn, disconnect?.code], ['client', 2, 1005]);
});

test('webhooks tell of a channel that the operator closes, or that expires, for a connection that stays', async (t) => {
	const receiver = await startReceiver(t);
	const script: Script = (question) =>
		question.answer(204, question.field('X-Original-URI') === '/short' ? [['X-Max-Age', '1']] : []);
	const service = await startService(t, script);
	const server = await startTestServer(t, '--groups', '--auth', service.url, '--webhook', receiver.url);
	const client = await openGroups(t, server, '/a');
	await client.change('add: /b /short');
	await request(server.operatorPort, { method: 'DELETE', path: '/channels/b' });
	assert.deepEqual(await client.nextAnswer(), { ...changed('/a /short', '', '/b'), reason: 'the channel was closed' });
	assert.deepEqual(await client.nextAnswer(), { ...changed('/a', '', '/short'), reason: 'authorisation expired' });
	const told = [...(await receiver.nextUntil('channel_closed')), ...(await receiver.nextUntil('channel_closed'))];
	assert.deepEqual(namesOf(told), [
		'channel_opened /a',
		'connect /a',
		'channel_opened /b',
		'channel_opened /short',
		'channel_closed /b',
		'channel_closed /short',
	]);
	assert.deepEqual(await counts(server), [1, 1, 1]);
});

test('two paths that the service makes one channel count as two subscribers of it, and open and close it once', async (t) => {
	const receiver = await startReceiver(t);
	const service = await startService(t, answering(204, [['X-Rewrite', '/real']]));
	const server = await startTestServer(t, '--groups', '--auth', service.url, '--webhook', receiver.url);
	const client = await openGroups(t, server, '/a');
	assert.deepEqual(await client.change('add: /b'), changed('/a /b', '/b'));
	assert.deepEqual(await counts(server), [1, 2, 1]);
	await request(server.operatorPort, { method: 'POST', path: '/channels/real', body: 'twice' });
	assert.deepEqual((await client.messages(2)).sort(), [
		['/a', 'server', 'twice'],
		['/b', 'server', 'twice'],
	]);
	await client.change('subscribe: /c');
	assert.deepEqual(await counts(server), [1, 1, 1]);
	await client.close();
	assert.deepEqual(namesOf(await receiver.nextUntil('channel_closed')), [
		'channel_opened /real',
		'connect /real',
		'disconnect /real',
		'channel_closed /real',
	]);
});
