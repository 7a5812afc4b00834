// RFC 6455, sections 5.6 and 5.8: what a message may hold; and what is published of a connection that is refused.

import { otherInputs } from '../../support/malformed.js';
import { protocolError, textOnly, tooLong } from './cases.js';
import type { Case, Row } from './conversation.js';
import { noCloseFrame } from './deviations.js';
import { binary, bytesOf, end, fragments, frame, text, utf8 } from './frames.js';
import type { Piece } from './wire.js';

const binaryFlags = ['--binary'];
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

function binaryCase(payload: Piece): Case {
	return { sends: [frame('binary', payload)], comes: [binary(payload)] };
}

/** Frames that close the connection, as docs/limits.md lists them. */
const closing = otherInputs.flatMap(({ input, newer, pieces: [, bytes] }) =>
	input.startsWith('websocket: ') && newer === 'closed' && bytes !== undefined ? [bytesOf(bytes)] : [],
);

export const dataRows: Row[] = [
	{
		section: '5.6',
		thrown: 'texts that hold NUL, controls, quotes, markup, a byte order mark, and bytes that look like HTTP or frames',
		promised: 'Each is published as it came.',
		cases: [
			'\0',
			'\0\0\0',
			'\x01\x02\x7f',
			' ',
			'\r\n',
			'"\\\'',
			'<script>',
			'\ufeffx',
			'\ufffd',
			'GET / HTTP/1.1\r\n\r\n',
			'\u0081\u0001x',
		].map((each) => ({ sends: [frame('text', utf8(each))], comes: [text(utf8(each))] })),
	},
	{
		section: '5.6',
		thrown: 'binary messages of 1, 125, 126, 65,535 and 65,536 bytes, without --binary',
		promised: 'The connection is closed with 1003 and a reason.',
		cases: [1, 125, 126, 65_535, 65_536].map((size) => ({ sends: [frame('binary', 'x'.repeat(size))], comes: textOnly })),
	},
	{
		section: '5.6',
		thrown: 'a binary message in fragments, without --binary',
		promised: 'The connection is closed with 1003 and a reason.',
		cases: [2, 3, 10].map((count) => ({ sends: fragments('binary', Array(count).fill('x')), comes: textOnly })),
	},
	{
		section: '5.6',
		thrown: 'empty texts and empty binary messages',
		promised: 'They are keepalives: nothing is published, nothing comes back, and the connection goes on.',
		cases: [
			{ sends: [frame('text')], comes: [] },
			{ sends: [frame('binary')], comes: [] },
			{ sends: [Buffer.concat(Array(100).fill(frame('text')))], comes: [] },
		],
	},
	{
		section: '5.6',
		thrown: 'binary messages of each byte, of all bytes, and of what is not UTF-8, with --binary',
		promised: 'Each is published as a binary message, as it came.',
		flags: binaryFlags,
		cases: [...Array.from(everyByte, (byte) => Buffer.from([byte])), everyByte, '\xff', '\xed\xa0\x80', '\xc0\x80'].map(
			binaryCase,
		),
	},
	{
		section: '5.6',
		thrown: 'binary messages of 125, 126, 127, 65,535 and 65,536 bytes, with --binary',
		promised: 'Each is published as a binary message, as it came.',
		flags: binaryFlags,
		cases: [125, 126, 127, 65_535, 65_536].map((size) => binaryCase('\xff'.repeat(size))),
	},
	{
		section: '5.6',
		thrown: 'a binary message in 2 to 10 fragments, with --binary',
		promised: 'It is published as one binary message.',
		flags: binaryFlags,
		cases: Array.from({ length: 9 }, (_, i) => ({
			sends: fragments('binary', Array(i + 2).fill('\xff\0')),
			comes: [binary('\xff\0'.repeat(i + 2))],
		})),
	},
	{
		section: '5.6',
		thrown: 'texts and binary messages in turn, in one read, with --binary',
		promised: 'All are published in their order, each as what it was.',
		flags: binaryFlags,
		cases: [2, 10, 100].map((count) => {
			const numbers = Array.from({ length: count }, (_, i) => i);
			return {
				sends: [Buffer.concat(numbers.map((i) => frame(i % 2 ? 'binary' : 'text', `${i} of ${count}`)))],
				comes: numbers.map((i) => (i % 2 ? binary : text)(`${i} of ${count}`)),
			};
		}),
	},
	{
		section: '7.1.7',
		thrown: 'a text, and then in the same read a binary message, or a message over --max-message',
		promised: 'The text is published, to its sender too, and then the connection is closed with 1003 or 1009.',
		cases: [
			{
				sends: [Buffer.concat([frame('text', 'before'), frame('binary', 'x'), frame('text', 'after')])],
				comes: [text('before'), ...textOnly],
			},
			{
				sends: [Buffer.concat([frame('text', 'before'), frame('text', 'x'.repeat(65_537)), frame('text', 'after')])],
				comes: [text('before'), ...tooLong],
			},
		],
	},
	{
		section: '7.1.7',
		thrown: 'a text, and then in the same read each wrong frame of docs/limits.md',
		promised: 'The text is published, and then the connection is failed.',
		cases: closing.map((wrong) => ({
			sends: [Buffer.concat([frame('text', 'before'), wrong, frame('text', 'after')])],
			comes: [text('before'), ...protocolError],
			published: [text('before')],
		})),
		deviation: {
			...noCloseFrame,
			instead: () => ({ comes: [end] }),
			says: 'The text is published to the other subscribers. Its sender does not get it, as its connection ends at once, without a close frame: it sees 1006.',
		},
	},
];
