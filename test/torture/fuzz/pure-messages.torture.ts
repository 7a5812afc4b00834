// Messages in the forms in which they travel and wait: event streams, frames of --groups, names and messages that are kept.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { eventOf } from '#src/event-stream/format.js';
import { enveloped, headOf, readFrame, refusedFrame } from '#src/groups/wire.js';
import { type ChannelName, parseChannelName, parseWrittenPath } from '#src/pubsub/channel-name.js';
import { KeptMessages } from '#src/pubsub/kept-messages.js';
import { trustedMessage } from '#src/pubsub/message.js';
import { NameMap } from '#src/pubsub/name-map.js';
import { EventParser, type StreamEvent } from '../../support/event-stream.js';
import { parseFrame } from '../../support/groups.js';
import { madeOf, pure, text } from './support/pure.js';

const lines = fc.oneof(
	text,
	madeOf('\n', '\r', '\r\n', 'data: ', 'event: x', ':', 'id: 1', 'retry: 1', '\0', '\ufeff', 'é', ' '),
);

pure(
	'any texts as messages of an event stream, which is cut anywhere',
	'A client that follows the WHATWG rules gets each message, with LF for each line end.',
	fc.property(
		fc.array(
			lines.filter((line) => line !== ''),
			{ maxLength: 4 },
		),
		fc.integer({ min: 1, max: 30 }),
		(texts, pieceBytes) => {
			const stream = Buffer.concat([
				Buffer.from(':\n\n'),
				...texts.map((one) => eventOf(trustedMessage(Buffer.from(one), false, 'post'))),
			]);
			const events: StreamEvent[] = [];
			const parser = new EventParser((event) => events.push(event));
			for (let at = 0; at < stream.length; at += pieceBytes) parser.feed(stream.subarray(at, at + pieceBytes));
			assert.deepEqual(
				events,
				texts.map((one) => ({ type: 'message', data: one.replace(/\r\n?/g, '\n') })),
			);
		},
	),
);

const head = fc.oneof(
	text,
	madeOf('subscribe:', 'add:', 'remove:', 'publish:', ' ', '/a', '/b', '\n', '\n\n', '\r', '%', 'é', 'body'),
);

pure(
	'any texts as frames of `--groups`',
	'A frame is read as one command, its body untouched, or is refused; the refusal is a frame that a client can read.',
	fc.property(head, (written) => {
		const bytes = new Uint8Array(Buffer.from(written));
		const frame = readFrame(bytes.buffer);
		if (typeof frame === 'string') {
			const refusal = refusedFrame({ status: 400, reason: frame } as Parameters<typeof refusedFrame>[0], undefined);
			assert.equal(parseFrame({ data: Buffer.from(refusal), isBinary: false }).body, frame);
		} else if (frame.command === 'publish') {
			assert.equal(Buffer.from(frame.body).toString(), Buffer.from(written.slice(written.indexOf('\n\n') + 2)).toString());
		}
	}),
);

pure(
	'any bodies and any channels, as frames of the server with `--groups`',
	'The channel, the sender and the body come back as they were.',
	fc.property(text, fc.uint8Array(), fc.nat(), (path, body, sender) => {
		const name = parseChannelName(`/${path}`, 256);
		if (typeof name !== 'string') return;
		const frame = parseFrame({ data: enveloped(headOf(name), trustedMessage(body, true, sender)), isBinary: true });
		assert.equal(parseWrittenPath(frame.head.get('channel') ?? '', 256), name);
		assert.equal(frame.head.get('from'), String(sender));
		assert.deepEqual(Buffer.from(frame.body, 'latin1'), Buffer.from(body));
	}),
);

pure(
	'random steps of a map of names, beside a Map',
	'Both hold the same at every step.',
	fc.property(fc.array(fc.tuple(fc.constantFrom('set', 'delete'), fc.constantFrom('/a', '/b', '/é', '/'), fc.nat())), (steps) => {
		const [names, map] = [new NameMap<number>(), new Map<string, number>()];
		for (const [step, key, value] of steps) {
			const name = key as ChannelName;
			if (step === 'set') names.set(name, value);
			else if (map.has(key)) names.delete(name);
			if (step === 'set') map.set(key, value);
			else map.delete(key);
			assert.deepEqual([names.size, names.get(name)], [map.size, map.get(key)]);
		}
	}),
);

pure(
	'random steps of the messages that are kept for slow subscribers',
	'Each subscriber gets what came after it, in order and without a gap, until it is given up; nothing is kept for nobody.',
	fc.property(
		fc.array(fc.tuple(fc.constantFrom('add', 'add', 'enter', 'next', 'next', 'leave'), fc.nat(7)), { maxLength: 80 }),
		(steps) => {
			const kept = new KeptMessages(1_000);
			const places = new Map<number, { position: ReturnType<KeptMessages['enter']>; next: number }>();
			let added = 0;
			for (const [step, key] of steps) {
				const place = places.get(key);
				// A channel keeps nothing while no subscriber is behind.
				if (step === 'add' && places.size === 0) added++;
				else if (step === 'add') kept.add(trustedMessage(Buffer.from(String(added++)), false, 'post'));
				else if (step === 'enter' && place === undefined)
					places.set(key, {
						position: kept.enter(
							() => 0,
							() => {},
						),
						next: added,
					});
				else if (step === 'leave' && place !== undefined) {
					kept.leave(place.position);
					places.delete(key);
				} else if (step === 'next' && place !== undefined) {
					const message = kept.next(place.position);
					if (message !== undefined) assert.equal(Buffer.from(message.bytes as Uint8Array).toString(), String(place.next++));
					else assert.ok(place.position.isLost || place.next === added);
				}
				assert.equal(kept.isUnused, places.size === 0);
				assert.ok(kept.bytes <= 1_000);
			}
			for (const { position } of places.values()) kept.leave(position);
			assert.equal(kept.bytes, 0);
		},
	),
);
