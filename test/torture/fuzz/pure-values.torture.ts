// Values that clients and operators write: paths, options, header fields, lines of the log.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { clientAddressBehind } from '#src/connections/client-address.js';
import { preferredCoding } from '#src/http/content-coding.js';
import { prefersEventStream, weightsOf } from '#src/http/quality.js';
import { withVisibleControls } from '#src/observe/visible-controls.js';
import { formatDuration, readDuration } from '#src/options/duration.js';
import { readOptions } from '#src/options/reading.js';
import { InvalidValue, parseSize } from '#src/options/values.js';
import { parseChannelName, parseWrittenPath, pathOf } from '#src/pubsub/channel-name.js';
import { StartError } from '#src/start-error.js';
import { madeOf, pure, text } from './support/pure.js';

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
			// From a peer that is no trusted proxy, the field is ignored.
			assert.equal(addressBehind(Uint8Array.of(192, 0, 2, 1).buffer, written), '192.0.2.1');
		},
	),
);
