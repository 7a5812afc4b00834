// RFC 6455, section 5.2: reserved bits, opcodes, and lengths.
import { cutEverywhere, fails, protocolError, tooLong } from './cases.js';
import type { Case, Row } from './conversation.js';
import { lenient, noCloseFrame } from './deviations.js';
import { closePayload, end, frame, pong, text } from './frames.js';

const rsvBits = [1, 2, 3, 4, 5, 6, 7];

function carries(payload: string, lengthBits: 7 | 16 | 64): Case {
	return { sends: [frame('text', payload, { lengthBits })], comes: [text(payload)] };
}

const x = (count: number) => 'x'.repeat(count);

export const framingRows: Row[] = [
	{
		section: '5.2',
		thrown: 'text frames with each reserved bit, alone and with others',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: rsvBits.map((rsv) => fails(frame('text', 'x', { rsv }))),
		deviation: noCloseFrame,
	},
	{
		section: '5.2',
		thrown: 'pings, pongs and close frames with each reserved bit',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: (['ping', 'pong', 'close'] as const).flatMap((kind) =>
			rsvBits.map((rsv) => fails(frame(kind, kind === 'close' ? closePayload(1000) : 'x', { rsv }))),
		),
		deviation: noCloseFrame,
	},
	{
		section: '5.2',
		thrown: 'continuation frames with each reserved bit',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: rsvBits.map((rsv) => fails(frame('text', 'x', { fin: false }), frame('continuation', 'x', { rsv }))),
		deviation: noCloseFrame,
	},
	...(['3 to 7', 'B to F'] as const).map((range, i): Row => {
		const from = i === 0 ? 3 : 11;
		return {
			section: '5.2',
			thrown: `frames of the reserved opcodes ${range}, empty, of 1 byte and of 125`,
			promised: 'The connection is failed: it is closed with 1002.',
			cases: [0, 1, 2, 3, 4].flatMap((more) => [0, 1, 125].map((size) => fails(frame(from + more, x(size))))),
			deviation: noCloseFrame,
		};
	}),
	{
		section: '5.2',
		thrown: 'frames of all reserved opcodes within a message of fragments',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
			fails(frame('text', 'x', { fin: false }), frame(opcode, 'x'), frame('continuation', 'x')),
		),
		deviation: noCloseFrame,
	},
	{
		section: '5.2',
		thrown: 'texts of 1 to 125 bytes, the length in 7 bits',
		promised: 'Each is published as it came.',
		cases: Array.from({ length: 125 }, (_, i) => carries(x(i + 1), 7)),
	},
	{
		section: '5.2',
		thrown: 'texts of 126, 127, 128, 255, 256, 32,767, 32,768 and 65,535 bytes, the length in 16 bits',
		promised: 'Each is published as it came.',
		cases: [126, 127, 128, 255, 256, 32_767, 32_768, 65_535].map((size) => carries(x(size), 16)),
	},
	{
		section: '5.2',
		thrown: 'a text of 65,536 bytes, the length in 64 bits: the longest that --max-message allows',
		promised: 'It is published as it came.',
		cases: [carries(x(65_536), 64)],
	},
	{
		section: '5.2',
		thrown: 'texts of 65,537, 65,538, 100,000 and 131,072 bytes: more than --max-message',
		promised: 'The connection is closed with 1009 and a reason.',
		cases: [65_537, 65_538, 100_000, 131_072].map((size) => ({ sends: [frame('text', x(size))], comes: tooLong })),
	},
	{
		section: '5.2',
		thrown: 'the head of a text of 131,073 bytes, of 2^32 and of 2^63 - 1, without its payload',
		promised: 'The connection ends at once, without a close frame; the payload is not awaited.',
		cases: [131_073n, 2n ** 32n, 2n ** 63n - 1n].map((length) => ({ sends: [frame('text', '', { length })], comes: [end] })),
	},
	{
		section: '5.2',
		thrown: 'lengths of 64 bits with the highest bit set',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: [2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n].map((length) => ({
			sends: [frame('text', 'x', { length })],
			comes: protocolError,
		})),
		deviation: noCloseFrame,
	},
	{
		section: '5.2',
		thrown: 'lengths of 1 to 125 in 16 bits, and of 1 to 65,535 in 64 bits',
		promised: 'The RFC forbids such a length to the sender: the connection is closed with 1002.',
		cases: [
			...[1, 2, 124, 125].map((size) => [size, 16] as const),
			...[1, 125, 126, 127, 65_535].map((size) => [size, 64] as const),
		].map(([size, lengthBits]) => ({
			sends: [frame('text', x(size), { lengthBits })],
			comes: protocolError,
			lenient: [text(x(size))],
		})),
		deviation: lenient('Each text is published as its length says. Every subscriber gets it with the shortest length.'),
	},
	{
		section: '5.2',
		thrown: 'pings of 0 to 125 bytes whose length stands in 16 bits or in 64',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: [0, 5, 125].flatMap((size) => ([16, 64] as const).map((lengthBits) => fails(frame('ping', x(size), { lengthBits })))),
		deviation: noCloseFrame,
	},
	{
		section: '5.2',
		thrown: 'frames whose head is cut into two reads at each of its bytes, with lengths in 7, 16 and 64 bits',
		promised: 'Each message is published as it came.',
		cases: (
			[
				[5, 7],
				[300, 16],
				[65_536, 64],
			] as const
		).flatMap(([size, lengthBits]) => {
			const bytes = frame('text', x(size), { lengthBits });
			return Array.from({ length: bytes.length - size }, (_, i) => ({
				sends: [bytes.subarray(0, i + 1), bytes.subarray(i + 1)],
				comes: [text(x(size))],
			}));
		}),
	},
	{
		section: '5.2',
		thrown: 'a text, a ping and a text, each byte in a read of its own',
		promised: 'Both texts are published, and the ping is answered between them.',
		cases: [
			{
				sends: [...Buffer.concat([frame('text', 'one'), frame('ping', 'p'), frame('text', 'two')])].map((byte) =>
					Buffer.from([byte]),
				),
				comes: [text('one'), pong('p'), text('two')],
			},
		],
	},
	{
		section: '5.2',
		thrown: '2, 10, 100 and 1,000 texts in one read',
		promised: 'All are published in their order, each once.',
		cases: [2, 10, 100, 1_000].map((count) => {
			const texts = Array.from({ length: count }, (_, i) => `${i} of ${count}`);
			return { sends: [Buffer.concat(texts.map((each) => frame('text', each)))], comes: texts.map(text) };
		}),
	},
	{
		section: '5.2',
		thrown: 'two texts in two reads, cut at each byte of both',
		promised: 'Both texts are published.',
		cases: cutEverywhere(Buffer.concat([frame('text', 'first'), frame('text', 'second')]), text('first'), text('second')),
	},
];
