import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { textMessage, trustedMessage } from '#src/pubsub/message.js';
import { closePayload, payloadOf, readPayload } from '#src/relay/payload.js';

const max = 65_536;

test('a text message is its own bytes at the relay, and comes back as it was', () => {
	fc.assert(
		fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
			const message = textMessage(Buffer.from(text), 'post') ?? assert.fail();
			const payload = payloadOf(message);
			assert.deepEqual(payload, Buffer.from(text));
			const back = readPayload(payload, max);
			assert.ok(typeof back === 'object' && !back.isBinary);
			assert.deepEqual(Buffer.from(back.bytes as Uint8Array), Buffer.from(text));
		}),
	);
});

test('a binary message comes back as it was, also if it looks like an instruction', () => {
	const bodies = fc.oneof(fc.uint8Array({ minLength: 1 }), fc.constant(new Uint8Array(closePayload)));
	fc.assert(
		fc.property(bodies, (body) => {
			const back = readPayload(payloadOf(trustedMessage(body, true, 'post')), max);
			assert.ok(typeof back === 'object' && back.isBinary);
			assert.deepEqual(Buffer.from(back.bytes as Uint8Array), Buffer.from(body));
		}),
	);
});

test('a payload is text, a binary message, the instruction to close, empty, or refused', () => {
	fc.assert(
		fc.property(fc.uint8Array(), (bytes) => {
			const payload = Buffer.from(bytes);
			const read = readPayload(payload, max);
			if (payload.length === 0) assert.equal(read, 'empty');
			else if (isUtf8(payload)) assert.ok(typeof read === 'object' && !read.isBinary);
			else if (payload[0] !== 0xff) assert.equal(read, 'malformed');
		}),
	);
	assert.equal(readPayload(closePayload, max), 'close');
	for (const bytes of [[0xff], [0xff, 0x00], [0xff, 0x03, 0x61], [0xff, 0x02, 0x61]])
		assert.equal(readPayload(Buffer.from(bytes), max), 'malformed');
	assert.equal(readPayload(Buffer.from([0xff, 0x01]), max), 'empty');
	assert.equal(readPayload(Buffer.alloc(max + 1, 'a'), max), 'too long');
	assert.equal(typeof readPayload(Buffer.alloc(max, 'a'), max), 'object');
});
