import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { Waiting } from '#src/relay/waiting.js';

const messagesMax = 65_536;

test('65,536 short messages may wait, and then the first of each other channel, up to twice as many', () => {
	const waiting = new Waiting(1_073_741_824);
	const [busy, other] = ['/busy', '/other'] as ChannelName[] as [ChannelName, ChannelName];
	for (let i = 0; i < messagesMax; i++) assert.ok(waiting.begin(busy, 65));
	assert.ok(!waiting.begin(busy, 65));
	assert.ok(waiting.begin(other, 65));
	assert.ok(!waiting.begin(other, 65));
	for (let i = 1; i < messagesMax; i++) assert.ok(waiting.begin(`/${i}` as ChannelName, 65));
	assert.ok(!waiting.begin('/last' as ChannelName, 65));
	for (let i = 0; i < messagesMax; i++) waiting.end(busy, 65);
	assert.equal(waiting.bytes, messagesMax * 65);
	assert.ok(!waiting.begin(other, 65));
	waiting.end(other, 65);
	assert.ok(waiting.begin(busy, 65));
});
