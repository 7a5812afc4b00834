// The parts that know no network, with values that nobody would think of. Their tests beside have the plain cases.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { clientAddressBehind } from '#src/connections/client-address.js';
import { eventOf } from '#src/event-stream/format.js';
import { enveloped, headOf, readFrame, refusedFrame } from '#src/groups/wire.js';
import { preferredCoding } from '#src/http/content-coding.js';
import { prefersEventStream, weightsOf } from '#src/http/quality.js';
import { withVisibleControls } from '#src/observe/visible-controls.js';
import { formatDuration, readDuration } from '#src/options/duration.js';
import { readOptions } from '#src/options/reading.js';
import { InvalidValue, parseSize } from '#src/options/values.js';
import { type ChannelName, parseChannelName, parseWrittenPath, pathOf } from '#src/pubsub/channel-name.js';
import { KeptMessages } from '#src/pubsub/kept-messages.js';
import { trustedMessage } from '#src/pubsub/message.js';
import { NameMap } from '#src/pubsub/name-map.js';
import { StartError } from '#src/start-error.js';
import { EventParser, type StreamEvent } from '../../support/event-stream.js';
import { parseFrame } from '../../support/groups.js';
import { inForm, torture } from '../support/torture.js';

const runs = inForm(2_000, 50_000);
const { TEST_SEED } = process.env;
const parameters = { numRuns: runs, ...(TEST_SEED !== undefined && { seed: Number(TEST_SEED) | 0 }) };

/** A row of the cases of a property. */
function pure<Values extends [unknown, ...unknown[]]>(thrown: string, promised: string, property: fc.IProperty<Values>): void {
	torture({ thrown, promised }, async () => {
		fc.assert(property, parameters);
		return `${runs.toLocaleString('en')} cases, none otherwise`;
	});
}

const text = fc.string({ unit: 'binary', maxLength: 60 });
/** Texts of the characters that a grammar is made of. */
function madeOf(...words: readonly string[]): fc.Arbitrary<string> {
	return fc.array(fc.constantFrom(...words), { maxLength: 20 }).map((all) => all.join(''));
}

pure(
	'any two texts as paths',
	'A path is refused, or it names one channel, whose written form names the same; distinct channels stay distinct.',
	fc.property(text, text, (one, other) => {
		const [first, second] = [one, other].map((path) => parseChannelName(`/${path}`, 256));
		if (typeof first !== 'string' || typeof second !== 'string') return;
		assert.equal(parseWrittenPath(pathOf(first), 256), first);
		assert.equal(pathOf(first) === pathOf(second), first === second);
	}),
);

pure(
	'any bytes, percent-encoded, as a path',
	'Bytes that are UTF-8 are the name of the channel; other bytes are refused.',
	fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
		const path = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
		const name = parseChannelName(`/${path}`, 256);
		const expected = Buffer.from(bytes).toString();
		if (Buffer.from(expected).equals(bytes)) assert.equal(name, `/${expected}`);
		else assert.equal(typeof name, 'object');
	}),
);

pure(
	'any number of seconds, and texts of digits and units, as durations',
	'A duration is read as it was written; a text that is none is refused.',
	fc.property(fc.nat(999_999), madeOf('0', '1', '9', 's', 'm', 'h', '-', '.', ' ', 'e'), (seconds, written) => {
		assert.equal(readDuration(formatDuration(seconds)), seconds);
		const read = readDuration(written);
		assert.equal(read !== undefined, written === '0' || /^\d{1,6}[smh]$/.test(written));
	}),
);

pure(
	'texts of digits and units as sizes',
	'A size within its bounds is read; every other text is refused with a remedy.',
	fc.property(madeOf('0', '1', '9', 'KiB', 'MiB', 'k', '-', '.', ' '), (written) => {
		const [, digits, unit] = /^(\d{1,12})(|KiB|MiB)$/.exec(written) ?? [];
		const bytes = Number(digits) * (unit === 'KiB' ? 1_024 : unit === 'MiB' ? 1_048_576 : 1);
		const read = parseSize(1, 1_048_576);
		if (digits !== undefined && bytes >= 1 && bytes <= 1_048_576) assert.equal(read(written), bytes);
		else assert.throws(() => read(written), InvalidValue);
	}),
);

const flags = [
	'--addr',
	'--mport',
	'--origin',
	'--trust-proxy',
	'--max-message',
	'--ping-timeout',
	'--groups',
	'--auth',
	'--post',
	'--log-level',
	'--drain',
	'-addr',
	'--',
	'--nope',
	'-h',
];

pure(
	'any arguments, real flags with any values among them',
	'The command starts, shows its help, or refuses with one line.',
	fc.property(
		fc.array(fc.oneof(fc.constantFrom(...flags), text, fc.ipV4(), fc.webUrl(), fc.constantFrom('1s', '64KiB', '0', 'off')), {
			maxLength: 6,
		}),
		(args) => {
			try {
				readOptions(args, {}, 'test');
			} catch (error) {
				assert.ok(error instanceof StartError, String(error));
				assert.doesNotMatch(error.message, /\n/);
			}
		},
	),
);

const weighted = madeOf(
	'text/event-stream',
	'text/html',
	'*/*',
	'br',
	'gzip',
	'identity',
	'*',
	',',
	', ',
	';q=',
	';',
	'0',
	'0.5',
	'1',
	'q',
	' ',
	'x',
);

pure(
	'texts of media types, codings and weights as Accept and Accept-Encoding',
	'An event stream is sent only if it is named with a weight above 0; no coding is used that has the weight 0.',
	fc.property(weighted, (field) => {
		const weights = weightsOf(field);
		if (prefersEventStream(field)) assert.ok((weights.get('text/event-stream') ?? 0) > 0);
		const coding = preferredCoding(field);
		if (coding !== 'identity') assert.ok((weights.get(coding) ?? weights.get('*') ?? 0) > 0);
	}),
);

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

pure(
	'any text in a line of the log',
	'No character that commands a terminal is in the line, and it is the same JSON.',
	fc.property(fc.oneof(text, madeOf('\u001b[2J', '\u009b', '\u007f', '\u2028', '\u202e', '\u061c', 'a')), (value) => {
		const line = withVisibleControls(JSON.stringify({ value }));
		assert.doesNotMatch(line, /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_C}]/u);
		assert.equal(JSON.parse(line).value, JSON.parse(JSON.stringify({ value })).value);
	}),
);

const addressBehind = clientAddressBehind([{ address: '10.0.0.0', prefixBits: 8, family: 'ipv4' }]);
const peer = Uint8Array.of(10, 0, 0, 1).buffer;

pure(
	'any text before the address that a trusted proxy has added to X-Forwarded-For',
	'The address of the proxy counts, whatever the client has written.',
	fc.property(
		fc.oneof(text, madeOf('10.0.0.2', ',', ', ', '"', '[::1]', ':80', 'for=')),
		fc.ipV4().filter((ip) => !ip.startsWith('10.')),
		(written, ip) => {
			assert.equal(addressBehind(peer, `${written}, ${ip}`), ip);
			// Untrusted, it counts for nothing.
			assert.equal(addressBehind(Uint8Array.of(192, 0, 2, 1).buffer, written), '192.0.2.1');
		},
	),
);
