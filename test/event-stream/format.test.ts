// The bytes of events, and how a client reads them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventOf } from '#src/event-stream/format.js';
import { textMessage, trustedMessage } from '#src/pubsub/message.js';
import { EventParser, type StreamEvent } from '../support/event-stream.js';
import { seededRandom } from '../support/random.js';

function event(text: string): string {
	const message = textMessage(Buffer.from(text), 'server');
	assert.ok(message);
	return eventOf(message).toString();
}

/** Reads a stream that comes in pieces of that length. */
function read(stream: Buffer, pieceBytes: number): StreamEvent[] {
	const events: StreamEvent[] = [];
	const parser = new EventParser((event) => events.push(event));
	for (let at = 0; at < stream.length; at += pieceBytes) parser.feed(stream.subarray(at, at + pieceBytes));
	return events;
}

test('each line of a message is a data field, and every kind of line end separates two', () => {
	assert.equal(event('hello'), 'data: hello\n\n');
	assert.equal(event(' a: b'), 'data:  a: b\n\n');
	assert.equal(event('a\nb\rc\r\nd'), 'data: a\ndata: b\ndata: c\ndata: d\n\n');
	assert.equal(event('\n'), 'data: \ndata: \n\n');
	assert.equal(event('a\n\r\n\rb'), 'data: a\ndata: \ndata: \ndata: b\n\n');
});

test('a binary message is base64 in an event of its own type', () => {
	assert.equal(eventOf(trustedMessage(Buffer.from([0, 10, 255]), true, 'server')).toString(), 'event: binary\ndata: AAr/\n\n');
});

test('a client rebuilds every message, with LF for each line end, wherever the stream is cut', (t) => {
	const random = seededRandom(t);
	const parts = ['a', 'é', '漢', '😀', '\n', '\r', '\r\n', ' ', ':', 'data: ', '\0', '\u2028', '\ufeff'];
	const texts = Array.from({ length: 300 }, () =>
		Array.from({ length: 1 + random.below(20) }, () => parts[random.below(parts.length)]).join(''),
	);
	const stream = Buffer.from(`:\n\n${texts.map(event).join('')}`);
	const expected = texts.map((text) => ({ type: 'message', data: text.replace(/\r\n?/g, '\n') }));
	for (const pieceBytes of [1, 2, 3, 7, stream.length]) assert.deepEqual(read(stream, pieceBytes), expected);
});
