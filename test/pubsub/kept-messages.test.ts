import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeptMessages, type Position } from '#src/pubsub/kept-messages.js';
import { trustedMessage } from '#src/pubsub/message.js';

/** Kept messages of so many bytes, with a way to add a text as the engine would hand it over. */
function keptOf(bytesMax: number) {
	const kept = new KeptMessages(bytesMax);
	const add = (text: string) => {
		const bytes = Buffer.from(text);
		kept.add(trustedMessage(bytes, false, 'server'));
		// The engine takes its bytes back when the handler returns.
		bytes.fill(0);
	};
	const next = (position: Position) => {
		const bytes = kept.next(position)?.bytes;
		return bytes && Buffer.from(bytes as Uint8Array).toString();
	};
	return { kept, add, next };
}

const never = () => assert.fail('lost');
const nothing = () => 0;

test('each position gets what was added since it was taken, in order, and what no position needs is forgotten', () => {
	const { kept, add, next } = keptOf(1_000_000);
	const first = kept.enter(nothing, never);
	add('a');
	const second = kept.enter(nothing, never);
	add('bc');
	assert.deepEqual([kept.bytes, kept.bytesFor(first), kept.bytesFor(second)], [131, 131, 66]);
	assert.deepEqual([next(first), next(first), next(first)], ['a', 'bc', undefined]);
	assert.deepEqual([kept.bytes, kept.bytesFor(first)], [66, 0]);
	add('d');
	assert.deepEqual([next(first), next(first)], ['d', undefined]);
	kept.leave(second);
	assert.deepEqual([kept.bytes, kept.isUnused], [0, false]);
	kept.leave(first);
	assert.equal(kept.isUnused, true);
});

test('a position is lost whose subscriber has more before it than the limit, with what it has not read; nothing is kept for it', () => {
	const { kept, add, next } = keptOf(300);
	const lost: string[] = [];
	let unreadBytes = 100;
	const enter = (name: string, unread = nothing) => kept.enter(unread, () => lost.push(name));
	const lagging = enter('lagging', () => unreadBytes);
	const stopped = enter('stopped', () => 100);
	const level = enter('level');
	for (let i = 1; i <= 3; i++) add(String(i));
	assert.deepEqual([lost, kept.bytes], [[], 195]);
	// It has read some, but has not been sent more yet.
	unreadBytes = 10;
	add('4');
	assert.deepEqual([lost, kept.bytes], [['stopped'], 260]);
	assert.deepEqual([next(level), next(level)], ['1', '2']);
	add('5');
	assert.deepEqual([lost, kept.bytes], [['stopped', 'lagging'], 195]);
	assert.equal(next(lagging), undefined);
	assert.equal(next(stopped), undefined);
	// They count as behind until they leave.
	assert.ok(kept.bytesFor(lagging) > 300);
	kept.leave(lagging);
	kept.leave(stopped);
	assert.deepEqual([next(level), next(level), next(level), next(level)], ['3', '4', '5', undefined]);
	kept.leave(level);
	assert.deepEqual([kept.bytes, kept.isUnused, lost.length], [0, true, 2]);
});

test('what a subscriber is sent and does not read counts, and a lost position stays lost whatever is read then', () => {
	const { kept, add, next } = keptOf(300);
	const lost: string[] = [];
	let unreadBytes = 0;
	const sent = kept.enter(
		() => unreadBytes,
		() => lost.push('sent'),
	);
	const level = kept.enter(nothing, never);
	add('1');
	assert.deepEqual([next(sent), next(level)], ['1', '1']);
	unreadBytes = 150;
	add('2');
	add('3');
	assert.deepEqual(lost, []);
	add('4');
	assert.deepEqual(lost, ['sent']);
	unreadBytes = 0;
	// The messages that it waited for are still kept for the other position, which is as far.
	assert.deepEqual([next(sent), next(level), kept.bytesFor(sent)], [undefined, '2', 195]);
});

test('when every position is lost, everything that was kept is gone at once', () => {
	const { kept, add } = keptOf(300);
	let lost = 0;
	const positions = Array.from({ length: 10 }, () => kept.enter(nothing, () => void lost++));
	for (let i = 0; i < 5; i++) add('x');
	assert.deepEqual([lost, kept.bytes], [10, 0]);
	for (const position of positions) kept.leave(position);
	assert.equal(kept.isUnused, true);
});

test('a position that is to get nothing more gets what was added before, and is given up like any other', () => {
	const { kept, add, next } = keptOf(300);
	let lost = 0;
	const reading = kept.enter(nothing, never);
	const stopped = kept.enter(nothing, () => void lost++);
	add('a');
	for (const position of [reading, stopped]) kept.endFor(position);
	add('b');
	assert.deepEqual([kept.bytesFor(reading), next(reading), next(reading), kept.bytesFor(reading)], [65, 'a', undefined, 0]);
	kept.leave(reading);
	for (let i = 0; i < 3; i++) add('c');
	assert.deepEqual([lost, kept.bytes], [1, 0]);
});
