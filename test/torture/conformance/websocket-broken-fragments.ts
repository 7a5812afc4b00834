// RFC 6455, section 5.4: fragments in a wrong order, and messages that are not completed.
import { fails, inOneReadAndMany, protocolError } from './cases.js';
import type { Row } from './conversation.js';
import { lenient, noCloseFrame } from './deviations.js';
import { binary, close, closeFrame, end, fragments, frame, text } from './frames.js';

const first = frame('text', 'first, ', { fin: false });
const last = frame('continuation', 'last');
const wholeOrNot = [true, false].flatMap((fin) => ['', 'x'].map((payload) => [fin, payload] as const));

export const brokenRows: Row[] = [
	{
		section: '5.4',
		thrown: 'a new text frame, whole or a first fragment, empty or not, within a message of fragments',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: wholeOrNot.map(([fin, payload]) => fails(first, frame('text', payload, { fin }), last)),
		deviation: noCloseFrame,
	},
	{
		section: '5.4',
		thrown: 'a new binary frame, whole or a first fragment, empty or not, within a message of fragments',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: wholeOrNot.map(([fin, payload]) => ({
			...fails(first, frame('binary', payload, { fin }), last),
			lenient: [close(1003, 'only text messages are accepted here (--binary is off)'), end],
		})),
		deviation: lenient('The connection is closed, but with 1003, as after a binary message. Nothing is published.'),
	},
	{
		section: '5.4',
		thrown: 'with --binary, a new binary frame within a text and within a binary message of fragments',
		promised: 'The connection is failed: it is closed with 1002.',
		flags: ['--binary'],
		apart: true,
		cases: (['text', 'binary'] as const).flatMap((kind) =>
			wholeOrNot.map(([fin, payload]) => ({
				sends: [frame(kind, 'first, ', { fin: false }), frame('binary', payload, { fin }), last],
				comes: protocolError,
				lenient: fin
					? [binary(`first, ${payload}`), (kind === 'text' ? text : binary)('last')]
					: [binary(`first, ${payload}last`)],
			})),
		),
		deviation: lenient(
			'The engine takes the binary frame for a fragment of the message, and the message for binary. Only messages of the client that broke the RFC are cut or joined in this way; a message published as text is UTF-8 all the same.',
		),
	},
	{
		section: '5.4',
		thrown: 'with --binary, a new binary frame within a text of fragments, whose last fragment is not UTF-8',
		promised: 'The connection is failed: it is closed with 1002. No text that is not UTF-8 is published.',
		flags: ['--binary'],
		cases: [
			{
				sends: [Buffer.concat([first, frame('binary', 'x'), frame('continuation', '\xff'), frame('text', 'after')])],
				comes: protocolError,
				published: [],
			},
		],
		deviation: {
			instead: () => ({ comes: [end], published: [binary('first, x')] }),
			says: 'The engine publishes the first fragment and the binary frame as one binary message; then the connection ends without a close frame. No text that is not UTF-8 is published.',
		},
	},
	{
		section: '5.4',
		thrown: 'a continuation of nothing, as the first frame: last or not, empty or not',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: [true, false].flatMap((fin) => ['', 'x'].map((payload) => fails(frame('continuation', payload, { fin })))),
		deviation: noCloseFrame,
	},
	{
		section: '5.4',
		thrown: 'a continuation of a message that is complete: one whole frame, or two fragments',
		promised: 'The message is published, and then the connection is failed: it is closed with 1002.',
		cases: [[frame('text', 'whole')], fragments('text', ['wh', 'ole'])].flatMap((whole) => [
			{ sends: whole, comes: [text('whole')] },
			fails(frame('continuation', 'x')),
		]),
		deviation: {
			...noCloseFrame,
			says: 'The message is published. Then the connection ends without a close frame: the client sees 1006. Nothing of the continuation was published, and no other connection was touched.',
		},
	},
	{
		section: '5.4',
		thrown: 'a client that drops the connection in the middle of a message, after one to three fragments',
		promised: 'Nothing of the message is published.',
		apart: true,
		cases: [
			[first],
			[first, frame('continuation', 'more', { fin: false })],
			[first, frame('continuation', 'more', { fin: false }), frame('continuation', '', { fin: false })],
		].map((sends) => ({ sends, comes: [] })),
	},
	{
		section: '7.1.5',
		thrown: 'a client that ends its side of TCP without a close frame: at rest, within a head, a payload and a message',
		promised: 'The server ends its side too, and nothing of the message is published.',
		cases: [
			'',
			frame('text', 'cut').subarray(0, 1),
			frame('text', 'cut').subarray(0, 4),
			frame('text', 'cut').subarray(0, 8),
			first,
		].map((piece) => ({ sends: [piece], finishes: true, comes: [end] })),
	},
	{
		section: '5.4',
		thrown: 'a close frame in the middle of a message of fragments, and the last fragment after it',
		promised: 'The close frame is answered, the connection ends, and nothing is published. A proxy may lose the answer.',
		cases: inOneReadAndMany([first, closeFrame(1000), last], close(1000), end).map((each) => ({
			...each,
			goesOn: each.sends.length > 1,
		})),
	},
];
