// The bytes of a publish, against those that ioredis makes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'ioredis';
import { PublishCommand, publishScript } from '#src/relay/publish-command.js';

test('the bytes of a publish are those that ioredis makes of the same command, whatever the lengths', () => {
	const channels = ['pathcast:/', 'pathcast:/zażółć', `pathcast:/${'x'.repeat(1_000)}`].map((text) => Buffer.from(text));
	const payloads = [Buffer.alloc(0), Buffer.from('h'), Buffer.from([0xff, 2]), Buffer.alloc(99_999, '\r\n$1\r\n')];
	for (const channel of channels) {
		for (const payload of payloads) {
			const expected = new Command('eval', [publishScript, '0', channel, payload]).toWritable({});
			assert.deepEqual(new PublishCommand(channel, payload).toWritable(), expected);
		}
	}
});
