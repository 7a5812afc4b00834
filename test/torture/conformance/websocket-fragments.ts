// RFC 6455, section 5.4: messages in fragments.
import { inOneReadAndMany } from './cases.js';
import type { Row } from './conversation.js';
import { close, end, fragments, frame, pong, text } from './frames.js';

const words = 'A message of forty characters, and more.';
const first = frame('text', 'first, ', { fin: false });
const last = frame('continuation', 'last');

function cutInto(payload: string, count: number): string[] {
	const size = Math.ceil(payload.length / count);
	return Array.from({ length: count }, (_, i) => payload.slice(i * size, (i + 1) * size));
}

export const fragmentRows: Row[] = [
	{
		section: '5.4',
		thrown: 'a text of 40 bytes in 1 to 40 fragments, in one read and each in a read of its own',
		promised: 'It is published as one message.',
		cases: Array.from({ length: 40 }, (_, i) => i + 1).flatMap((count) =>
			inOneReadAndMany(fragments('text', cutInto(words, count)), text(words)),
		),
	},
	{
		section: '5.4',
		thrown: 'a text of 40 bytes in two fragments, cut at each byte and at both ends, one of them empty there',
		promised: 'It is published as one message.',
		cases: Array.from({ length: 41 }, (_, i) => i).flatMap((at) =>
			inOneReadAndMany(fragments('text', [words.slice(0, at), words.slice(at)]), text(words)),
		),
	},
	{
		section: '5.4',
		thrown: 'texts with 1, 10 and 1,000 empty fragments before, between and after those with bytes',
		promised: 'Each is published as one message.',
		cases: [1, 10, 1_000].flatMap((count) => {
			const empty = Array.from({ length: count }, () => '');
			const payloads = [...empty, 'full', ...empty, ' and full', ...empty];
			return { sends: [Buffer.concat(fragments('text', payloads))], comes: [text('full and full')] };
		}),
	},
	{
		section: '5.4',
		thrown: 'messages of 1 to 10 fragments that are all empty',
		promised: 'Nothing is published: they are empty messages.',
		cases: Array.from({ length: 10 }, (_, i) => ({ sends: fragments('text', Array(i + 1).fill('')), comes: [] })),
	},
	{
		section: '5.4',
		thrown: 'a text of 10,000 fragments of one byte, in one read',
		promised: 'It is published as one message.',
		cases: [
			{ sends: [Buffer.concat(fragments('text', [...'0123456789'.repeat(1_000)]))], comes: [text('0123456789'.repeat(1_000))] },
		],
	},
	{
		section: '5.4',
		thrown: 'a text of 65,536 bytes in fragments of 1,000, of 4,096, of 32,768 and of 65,535 bytes',
		promised: 'It is published as one message.',
		cases: [1_000, 4_096, 32_768, 65_535].map((size) => {
			const payload = words.repeat(2_000).slice(0, 65_536);
			const parts = Array.from({ length: Math.ceil(65_536 / size) }, (_, i) => payload.slice(i * size, (i + 1) * size));
			return { sends: [Buffer.concat(fragments('text', parts))], comes: [text(payload)] };
		}),
	},
	{
		section: '5.4',
		thrown: 'a text of 65,537 bytes in fragments of 1,000, of 4,096, of 32,768 and of 65,536 bytes',
		promised: 'The connection is closed with 1009 and a reason.',
		cases: [1_000, 4_096, 32_768, 65_536].map((size) => {
			const parts = Array.from({ length: Math.ceil(65_537 / size) }, (_, i) => 'x'.repeat(Math.min(size, 65_537 - i * size)));
			return {
				sends: [Buffer.concat(fragments('text', parts))],
				comes: [close(1009, 'a message may take 65536 bytes at most (--max-message)'), end],
			};
		}),
	},
	{
		section: '5.4',
		thrown: 'a message without end: fragments of 32,768 bytes until 131,072 bytes have come, and then one byte',
		promised: 'The connection ends at that byte, without a close frame.',
		cases: [
			{
				sends: Array.from({ length: 4 }, (_, i) => frame(i === 0 ? 'text' : 'continuation', 'x'.repeat(32_768), { fin: false })),
				comes: [],
			},
			{ sends: [frame('continuation', 'x', { fin: false })], comes: [end] },
		],
		isOneConversation: true,
	},
	{
		section: '5.4',
		thrown: 'a ping, an empty ping and a pong between the fragments of a text, in one read and each in a read of its own',
		promised: 'Both pings are answered, and then the text is published as one message.',
		cases: inOneReadAndMany(
			[first, frame('ping', 'between'), frame('ping'), frame('pong', 'unasked'), last],
			pong('between'),
			pong(),
			text('first, last'),
		),
	},
	{
		section: '5.4',
		thrown: 'a ping after the first fragment, before the client sends the last',
		promised: 'The ping is answered while the message is not complete; the message is published when it is.',
		cases: [
			{ sends: [first, frame('ping', 'now')], comes: [pong('now')] },
			{ sends: [last], comes: [text('first, last')] },
		],
		isOneConversation: true,
	},
	{
		section: '5.4',
		thrown: 'a ping of 125 bytes between each two of 100 fragments',
		promised: 'All 99 pings are answered, and then the text is published as one message.',
		cases: [
			{
				sends: fragments('text', [...'0123456789'.repeat(10)]).flatMap((each, i) =>
					i === 0 ? [each] : [frame('ping', `${i}`.padEnd(125, '.')), each],
				),
				comes: [...Array.from({ length: 99 }, (_, i) => pong(`${i + 1}`.padEnd(125, '.'))), text('0123456789'.repeat(10))],
			},
		],
	},
];
