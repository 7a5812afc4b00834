// The second form of messages, without a network: how often a message is encoded and handed over, and what stays of a lost connection.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Envelopes } from '#src/groups/envelopes.js';
import { type GroupParts, GroupSet } from '#src/groups/group-set.js';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { trustedMessage } from '#src/pubsub/message.js';
import { fakeConnection, fakePeer, silentHub } from '../support/fake-peer.js';

const [room, inbox] = ['/room', '/me/inbox'] as ChannelName[] as [ChannelName, ChannelName];

/** Envelopes that write down what they hand to the engine, and peers that they reach. */
function recorded() {
	const handed: string[] = [];
	const envelopes = new Envelopes((topic, bytes) => handed.push(`${topic}: ${Buffer.from(bytes)}`));
	const reached = () => fakePeer({ attach: (subscription) => envelopes.attach(subscription) !== '' });
	return { handed, envelopes, reached, hub: silentHub() };
}

test('a message is encoded once for each name that connections have for its channel, whatever the number of connections', () => {
	const { handed, envelopes, reached, hub } = recorded();
	const subscriptions = Array.from({ length: 1_000 }, () => hub.join(room, reached(), room));
	const { topic } = hub.find(room) ?? assert.fail();
	envelopes.publish(topic, trustedMessage(Buffer.from('hello'), false, 7));
	assert.deepEqual(handed.splice(0), ['groups 1: channel: /room\nfrom: 7\n\nhello']);

	subscriptions.push(hub.join(room, reached(), inbox));
	envelopes.publish(topic, trustedMessage(Buffer.from('hello'), false, 'post'));
	assert.deepEqual(handed.splice(0), [
		'groups 1: channel: /room\nfrom: post\n\nhello',
		'groups 2: channel: /me/inbox\nfrom: post\n\nhello',
	]);

	for (const subscription of subscriptions.splice(0, 1_000)) envelopes.detach(subscription);
	envelopes.publish(topic, trustedMessage(Buffer.from('x'), false, 'server'));
	assert.deepEqual(handed.splice(0), ['groups 2: channel: /me/inbox\nfrom: server\n\nx']);
	for (const subscription of subscriptions) envelopes.detach(subscription);
	envelopes.publish(topic, trustedMessage(Buffer.from('x'), false, 'server'));
	assert.deepEqual([handed, envelopes.size], [[], 0]);
});

test('a connection that fails after it has joined its first channel leaves no form of messages behind', () => {
	const { envelopes, hub } = recorded();
	const connection = {
		...fakeConnection({ attach: (subscription) => envelopes.attach(subscription) !== '' }),
		tell() {},
	};
	hub.join(room, connection, room);
	assert.equal(envelopes.size, 1);
	const set = new GroupSet(room, undefined, undefined, { hub, envelopes } as GroupParts);
	set.closed(connection);
	assert.equal(envelopes.size, 0);
});
