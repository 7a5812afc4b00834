import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { ChannelName } from '#src/pubsub/channel-name.js';
import { Linger } from '#src/relay/linger.js';

const name = (text: string) => text as ChannelName;

test('a channel is released when its time is over, and not before', (t) => {
	const { released, linger, pass } = lingering(t);
	linger.add(name('/a'));
	pass(600);
	linger.add(name('/b'));
	pass(399);
	assert.deepEqual(released, []);
	pass(101);
	assert.deepEqual(released, ['/a']);
	pass(600);
	assert.deepEqual(released, ['/a', '/b']);
});

test('the time of a channel begins anew when it is left again, and ends when it is forgotten', (t) => {
	const { released, linger, pass } = lingering(t);
	linger.add(name('/a'));
	linger.add(name('/b'));
	pass(900);
	linger.add(name('/a'));
	linger.delete(name('/b'));
	pass(900);
	assert.deepEqual(released, []);
	pass(300);
	assert.deepEqual(released, ['/a']);
});

test('ten thousand channels that are due together are released in several ticks', (t) => {
	const { released, linger, pass, looks } = lingering(t);
	for (let i = 0; i < 10_000; i++) linger.add(name(`/${i}`));
	const before = looks();
	pass(1_000);
	assert.equal(released.length, 10_000);
	assert.equal(looks() - before, 5, 'it looks at the time once in each tick');
});

test('of more channels than are kept, the first is released at once', (t) => {
	const { released, linger } = lingering(t);
	for (let i = 0; i < 262_144; i++) linger.add(name(`/${i}`));
	assert.deepEqual(released, []);
	linger.add(name('/0'));
	linger.add(name('/more'));
	assert.deepEqual(released, ['/1']);
});

function lingering(t: { after(done: () => void): void }) {
	mock.timers.enable({ apis: ['setTimeout'] });
	t.after(() => mock.timers.reset());
	let nowMs = 0;
	const now = mock.method(performance, 'now', () => nowMs);
	t.after(() => now.mock.restore());
	const released: string[] = [];
	const linger = new Linger(1_000, (freed) => released.push(freed));
	return {
		released,
		linger,
		looks: () => now.mock.callCount(),
		pass(ms: number) {
			nowMs += ms;
			mock.timers.tick(ms);
		},
	};
}
