import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trustedMessage } from '#src/pubsub/message.js';
import { SharedBacklog, type Waiter } from '#src/pubsub/shared-backlog.js';

/** A backlog for so many bytes, with a way to add a text as the engine would hand it over. */
function backlogOf(bytesMax: number) {
	const backlog = new SharedBacklog(bytesMax);
	const add = (text: string) => {
		const bytes = Buffer.from(text);
		backlog.add(trustedMessage(bytes, false));
		// The engine takes its bytes back when the handler returns.
		bytes.fill(0);
	};
	const next = (waiter: Waiter) => {
		const bytes = backlog.next(waiter)?.bytes;
		return bytes && Buffer.from(bytes as Uint8Array).toString();
	};
	return { backlog, add, next };
}

const never = () => assert.fail('too far');
const nothing = () => 0;

test('each who waits gets what was added since it came, in order, and what nobody waits for is forgotten', () => {
	const { backlog, add, next } = backlogOf(1_000_000);
	const first = backlog.enter(nothing, never);
	add('a');
	const second = backlog.enter(nothing, never);
	add('bc');
	assert.deepEqual([backlog.bytes, backlog.bytesFor(first), backlog.bytesFor(second)], [131, 131, 66]);
	assert.deepEqual([next(first), next(first), next(first)], ['a', 'bc', undefined]);
	assert.deepEqual([backlog.bytes, backlog.bytesFor(first)], [66, 0]);
	add('d');
	assert.deepEqual([next(first), next(first)], ['d', undefined]);
	backlog.leave(second);
	assert.deepEqual([backlog.bytes, backlog.isUnused], [0, false]);
	backlog.leave(first);
	assert.equal(backlog.isUnused, true);
});

test('too far is who has more before it than there may be, with what it has not read; nothing is kept for it', () => {
	const { backlog, add, next } = backlogOf(300);
	const tooFar: string[] = [];
	let unreadBytes = 100;
	const enter = (name: string, unread = nothing) => backlog.enter(unread, () => tooFar.push(name));
	const lagging = enter('lagging', () => unreadBytes);
	const stopped = enter('stopped', () => 100);
	const level = enter('level');
	for (let i = 1; i <= 3; i++) add(String(i));
	assert.deepEqual([tooFar, backlog.bytes], [[], 195]);
	// It has read some, but has not been sent more yet.
	unreadBytes = 10;
	add('4');
	assert.deepEqual([tooFar, backlog.bytes], [['stopped'], 260]);
	assert.deepEqual([next(level), next(level)], ['1', '2']);
	add('5');
	assert.deepEqual([tooFar, backlog.bytes], [['stopped', 'lagging'], 195]);
	assert.equal(next(lagging), undefined);
	assert.equal(next(stopped), undefined);
	// They count as behind until they leave.
	assert.ok(backlog.bytesFor(lagging) > 300);
	backlog.leave(lagging);
	backlog.leave(stopped);
	assert.deepEqual([next(level), next(level), next(level), next(level)], ['3', '4', '5', undefined]);
	backlog.leave(level);
	assert.deepEqual([backlog.bytes, backlog.isUnused, tooFar.length], [0, true, 2]);
});

test('what one is sent and does not read counts, and who is too far stays so whatever it reads then', () => {
	const { backlog, add, next } = backlogOf(300);
	const tooFar: string[] = [];
	let unreadBytes = 0;
	const sent = backlog.enter(
		() => unreadBytes,
		() => tooFar.push('sent'),
	);
	const level = backlog.enter(nothing, never);
	add('1');
	assert.deepEqual([next(sent), next(level)], ['1', '1']);
	unreadBytes = 150;
	add('2');
	add('3');
	assert.deepEqual(tooFar, []);
	add('4');
	assert.deepEqual(tooFar, ['sent']);
	unreadBytes = 0;
	// What it waited for is still there for the other, who is as far.
	assert.deepEqual([next(sent), next(level), backlog.bytesFor(sent)], [undefined, '2', 195]);
});

test('with nobody level, a backlog that is too much is gone at once', () => {
	const { backlog, add } = backlogOf(300);
	let tooFar = 0;
	const waiters = Array.from({ length: 10 }, () => backlog.enter(nothing, () => void tooFar++));
	for (let i = 0; i < 5; i++) add('x');
	assert.deepEqual([tooFar, backlog.bytes], [10, 0]);
	for (const waiter of waiters) backlog.leave(waiter);
	assert.equal(backlog.isUnused, true);
});

test('one that is to get nothing more has what was added before, and is given up like any other', () => {
	const { backlog, add, next } = backlogOf(300);
	let tooFar = 0;
	const reading = backlog.enter(nothing, never);
	const stopped = backlog.enter(nothing, () => void tooFar++);
	add('a');
	for (const waiter of [reading, stopped]) backlog.endFor(waiter);
	add('b');
	assert.deepEqual([backlog.bytesFor(reading), next(reading), next(reading), backlog.bytesFor(reading)], [65, 'a', undefined, 0]);
	backlog.leave(reading);
	for (let i = 0; i < 3; i++) add('c');
	assert.deepEqual([tooFar, backlog.bytes], [1, 0]);
});
