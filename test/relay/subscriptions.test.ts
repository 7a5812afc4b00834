// The channels that a server is subscribed to, with a server of the relay that answers when the test says so.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import type { OrderFailure } from '#src/pubsub/order.js';
import type { Answer, Link } from '#src/relay/link.js';
import { Subscriptions } from '#src/relay/subscriptions.js';

test('clients that give up leave no more unconfirmed subscriptions than clients that wait', async (t) => {
	const { subscriptions, confirm } = start(t);
	for (let i = 0; i < 65_536; i++) subscriptions.bring([`/${i}` as ChannelName], () => {})();
	assert.equal(await failureOf(subscriptions, '/more'), 'busy');
	confirm(1);
	const brought = failureOf(subscriptions, '/more');
	confirm(65_536);
	assert.equal(await brought, undefined);
});

test('a channel that is given up before its subscription is confirmed is unsubscribed when it is', async (t) => {
	const { subscriptions, link, confirm, unsubscribed } = start(t);
	const first = failureOf(subscriptions, '/room');
	subscriptions.giveUp(link, () => true, 0);
	assert.equal(await first, 'away');
	assert.deepEqual(unsubscribed, []);
	confirm(1);
	assert.deepEqual(unsubscribed, ['/room']);
});

test('a channel that is given up and subscribed to again is not unsubscribed by the first confirmation', async (t) => {
	const { subscriptions, link, confirm, unsubscribed } = start(t);
	const first = failureOf(subscriptions, '/room');
	subscriptions.giveUp(link, () => true, 0);
	assert.equal(await first, 'away');
	const second = failureOf(subscriptions, '/room');
	confirm(2);
	assert.equal(await second, undefined);
	assert.deepEqual(unsubscribed, []);
});

function failureOf(subscriptions: Subscriptions, name: string): Promise<OrderFailure | undefined> {
	return new Promise((resolve) => subscriptions.bring([name as ChannelName], resolve));
}

function start(t: { after(done: () => void): void }) {
	const unanswered: ((answer: Answer) => void)[] = [];
	const unsubscribed: string[] = [];
	const link = {
		subscribe: (_: Buffer, done: (answer: Answer) => void) => void unanswered.push(done),
		unsubscribe: (channel: Buffer) => void unsubscribed.push(channel.toString()),
	} as unknown as Link;
	const subscriptions = new Subscriptions({
		lingerMs: 1_000,
		find: () => undefined,
		linkFor: () => link,
		wireOf: (name) => Buffer.from(name),
		onGap: () => {},
		onRefused: () => {},
	});
	t.after(() => subscriptions.stop());
	return {
		subscriptions,
		link,
		unsubscribed,
		confirm(count: number) {
			for (const answer of unanswered.splice(0, count)) answer(1);
		},
	};
}
