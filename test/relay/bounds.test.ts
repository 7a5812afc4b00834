// How much may wait for a relay that does not answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import type { OrderFailure } from '#src/pubsub/order.js';
import type { Answer, Link } from '#src/relay/link.js';
import { Subscriptions } from '#src/relay/subscriptions.js';
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

test('65,536 channels may wait for their subscription, also if their clients have gone', async () => {
	const answers: ((answer: Answer) => void)[] = [];
	const link = { subscribe: (_: Buffer, done: (answer: Answer) => void) => void answers.push(done) } as unknown as Link;
	const subscriptions = new Subscriptions({
		lingerMs: 1_000,
		find: () => undefined,
		linkFor: () => link,
		wireOf: (name) => Buffer.from(name),
		onGap: () => {},
		onRefused: () => {},
	});
	const bring = (name: string) => {
		let callOff = () => {};
		const outcome = new Promise<OrderFailure | undefined>((resolve) => {
			callOff = subscriptions.bring([name as ChannelName], resolve);
		});
		return { outcome, callOff };
	};
	for (let i = 0; i < messagesMax; i++) bring(`/${i}`).callOff();
	assert.equal(await bring('/one-more').outcome, 'busy');
	assert.equal(answers.length, messagesMax);
	answers[0]?.(1);
	const { outcome } = bring('/one-more');
	answers.at(-1)?.(1);
	assert.equal(await outcome, undefined);
	subscriptions.stop();
});
