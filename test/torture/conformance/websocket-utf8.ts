// RFC 6455, section 8.1: a text message is UTF-8, as RFC 3629 has it.
import { cutEverywhere, notUtf8 } from './cases.js';
import type { Case, Row } from './conversation.js';
import { noCloseFrame } from './deviations.js';
import { bytesOf, fragments, frame, text, utf8 } from './frames.js';

// Characters of 1 to 4 bytes, four of each; the first and the last of each length, and those around the surrogates.
const mixed = utf8('a\u00e9\u20ac\u{1f600}'.repeat(4));
const edges = [
	0, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xd7ff, 0xe000, 0xfdd0, 0xfffd, 0xfffe, 0xffff, 0x1_0000, 0xf_ffff, 0x10_0000,
	0x10_ffff,
];
const wholes = ['\u00e9', '\u20ac', '\u{1f600}'].map((each) => utf8(each));

function invalid(payload: string): Case {
	return { sends: [frame('text', payload)], comes: notUtf8 };
}

/** A row of texts that hold each of these, in the middle and at both ends. */
function invalidRow(thrown: string, sequences: readonly string[]): Row {
	return {
		section: '8.1',
		thrown,
		promised: 'The connection is failed: it is closed with 1007.',
		cases: sequences.flatMap((each) => [
			invalid(each),
			invalid(`a${each}`),
			invalid(`${each}a`),
			invalid(`\u00c3\u00a9${each}z`),
		]),
		deviation: noCloseFrame,
	};
}

function bytes(from: number, to: number): string[] {
	return Array.from({ length: to - from + 1 }, (_, i) => String.fromCharCode(from + i));
}

export const utf8Rows: Row[] = [
	{
		section: '8.1',
		thrown: 'texts of the first and the last character of each length, and of those beside the surrogates',
		promised: 'Each is published as it came.',
		cases: edges.map((point) => {
			const payload = utf8(String.fromCodePoint(point));
			return { sends: [frame('text', payload)], comes: [text(payload)] };
		}),
	},
	{
		section: '8.1',
		thrown: 'a text of characters of 1 to 4 bytes, cut into two fragments at each byte',
		promised: 'It is published as one message.',
		cases: cutPayload(mixed).map((parts) => ({ sends: [Buffer.concat(fragments('text', parts))], comes: [text(mixed)] })),
	},
	{
		section: '8.1',
		thrown: 'a text of characters of 1 to 4 bytes, cut into two fragments at each byte, each in a read of its own',
		promised: 'It is published as one message.',
		cases: cutPayload(mixed).map((parts) => ({ sends: fragments('text', parts), comes: [text(mixed)] })),
	},
	{
		section: '8.1',
		thrown: 'a text of characters of 1 to 4 bytes, cut into two reads at each byte of its frame',
		promised: 'It is published as it came.',
		cases: cutEverywhere(frame('text', mixed), text(mixed)),
	},
	{
		section: '8.1',
		thrown: 'a text of characters of 1 to 4 bytes, each byte a fragment and a read of its own',
		promised: 'It is published as one message.',
		cases: [{ sends: fragments('text', [...mixed]), comes: [text(mixed)] }],
	},
	{
		section: '8.1',
		thrown: 'a text of characters of 1 to 4 bytes, each byte of its frame in a read of its own',
		promised: 'It is published as it came.',
		cases: [{ sends: [...frame('text', mixed)].map((byte) => Buffer.from([byte])), comes: [text(mixed)] }],
	},
	{
		section: '8.1',
		thrown: 'a text of characters of 1 to 4 bytes, cut into two fragments at each byte, with a ping between them',
		promised: 'The ping is answered, and the text is published as one message.',
		cases: cutPayload(mixed).map((parts) => {
			const [first = '', last = ''] = fragments('text', parts);
			return { sends: [first, frame('ping', '\xff'), last], comes: ['pong \xff', text(mixed)] };
		}),
	},
	{
		section: '8.1',
		thrown: 'texts of 65,536 bytes, all characters of 2 bytes and all of 4',
		promised: 'Each is published as it came.',
		cases: [utf8('\u00e9'.repeat(32_768)), utf8('\u{1f600}'.repeat(16_384))].map((payload) => ({
			sends: [frame('text', payload)],
			comes: [text(payload)],
		})),
	},
	invalidRow('overlong forms: the bytes C0 and C1, and the first and last of three bytes and of four', [
		'\xc0\x80',
		'\xc0\xaf',
		'\xc0\xbf',
		'\xc1\x80',
		'\xc1\xbf',
		'\xe0\x80\x80',
		'\xe0\x80\xaf',
		'\xe0\x9f\xbf',
		'\xf0\x80\x80\x80',
		'\xf0\x80\x80\xaf',
		'\xf0\x8f\xbf\xbf',
	]),
	invalidRow('surrogates: the first and the last of each half, alone and as pairs', [
		'\xed\xa0\x80',
		'\xed\xad\xbf',
		'\xed\xae\x80',
		'\xed\xaf\xbf',
		'\xed\xb0\x80',
		'\xed\xbe\x80',
		'\xed\xbf\xbf',
		'\xed\xa0\x80\xed\xb0\x80',
		'\xed\xaf\xbf\xed\xbf\xbf',
	]),
	invalidRow('characters above U+10FFFF, and forms of five bytes and six', [
		'\xf4\x90\x80\x80',
		'\xf4\xbf\xbf\xbf',
		'\xf5\x80\x80\x80',
		'\xf7\xbf\xbf\xbf',
		'\xf8\x88\x80\x80\x80',
		'\xfb\xbf\xbf\xbf\xbf',
		'\xfc\x84\x80\x80\x80\x80',
		'\xfd\xbf\xbf\xbf\xbf\xbf',
	]),
	invalidRow('the bytes F5 to FF, which UTF-8 does not have, each alone', bytes(0xf5, 0xff)),
	invalidRow('continuation bytes without a first byte, each of the 64', bytes(0x80, 0xbf)),
	invalidRow('first bytes without a continuation: C2 to F4, each alone', bytes(0xc2, 0xf4)),
	invalidRow(
		'characters of 2, 3 and 4 bytes without their last bytes, and with one too many',
		wholes.flatMap((whole) => [...Array.from({ length: whole.length - 1 }, (_, i) => whole.slice(0, i + 1)), `${whole}\x80`]),
	),
	{
		section: '8.1',
		thrown: 'a text of 100 ASCII characters with the byte FF in the place of each',
		promised: 'The connection is failed: it is closed with 1007.',
		cases: Array.from({ length: 100 }, (_, i) => invalid(`${'a'.repeat(i)}\xff${'a'.repeat(99 - i)}`)),
		deviation: noCloseFrame,
	},
	{
		section: '8.1',
		thrown: 'a text of 65,536 bytes whose last character lacks its last byte',
		promised: 'The connection is failed: it is closed with 1007.',
		cases: [invalid(utf8('\u{1f600}'.repeat(16_385)).slice(0, 65_535))],
		deviation: noCloseFrame,
	},
	{
		section: '8.1',
		thrown: 'invalid UTF-8 in the first, the second and the last of three fragments, and a character that the last leaves open',
		promised: 'The connection is failed: it is closed with 1007.',
		cases: [
			['\xff', 'b', 'c'],
			['a', '\xff', 'c'],
			['a', 'b', '\xff'],
			['a', 'b', '\xe2\x82'],
			['\xe2', '\x82', ''],
			['\xf4', '\x90', '\x80\x80'],
		].map((parts) => ({ sends: [Buffer.concat(fragments('text', parts))], comes: notUtf8 })),
		deviation: noCloseFrame,
	},
	{
		section: '8.1',
		thrown: 'a first fragment with invalid UTF-8, a ping, and then the last fragment',
		promised: 'The connection is failed: it is closed with 1007, at the latest when the message is complete.',
		cases: [
			{ sends: [frame('text', '\xff', { fin: false }), frame('ping', 'still open')], comes: ['pong still open'] },
			{ sends: [frame('continuation', 'end')], comes: notUtf8 },
		],
		isOneConversation: true,
		deviation: noCloseFrame,
	},
];

function cutPayload(payload: string): string[][] {
	return Array.from({ length: bytesOf(payload).length + 1 }, (_, i) => [payload.slice(0, i), payload.slice(i)]);
}
