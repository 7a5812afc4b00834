// RFC 6455, section 5.5: pings, pongs, and close frames as frames. Their codes are in websocket-closing.ts.

import type { Random } from '../../support/random.js';
import { cutEverywhere, fails } from './cases.js';
import type { Case, Row } from './conversation.js';
import { noCloseFrame } from './deviations.js';
import { close, closeFrame, end, frame, pong, text } from './frames.js';

const x = (count: number) => 'x'.repeat(count);

export function controlRows(random: Random): Row[] {
	return [
		{
			section: '5.5.2',
			thrown: 'pings of 0 to 125 bytes',
			promised: 'Each is answered by a pong with the same bytes.',
			cases: Array.from({ length: 126 }, (_, size) => ({ sends: [frame('ping', x(size))], comes: [pong(x(size))] })),
		},
		{
			section: '5.5.2',
			thrown: 'pings of 125 bytes at random, most of them not UTF-8',
			promised: 'Each is answered by a pong with the same bytes.',
			cases: Array.from({ length: 32 }, () => {
				const payload = Buffer.from(Array.from({ length: 125 }, () => random.below(256)));
				return { sends: [frame('ping', payload)], comes: [pong(payload)] };
			}),
		},
		{
			section: '5.5.2',
			thrown: '2, 10 and 500 pings in one read',
			promised: 'Each is answered, in their order.',
			cases: [2, 10, 500].map((count) => {
				const payloads = Array.from({ length: count }, (_, i) => `${i}`);
				return { sends: [Buffer.concat(payloads.map((each) => frame('ping', each)))], comes: payloads.map(pong) };
			}),
		},
		{
			section: '5.5.2',
			thrown: 'a ping before, between and after texts in one read',
			promised: 'Pongs and texts come in the order of what was sent.',
			cases: [
				{
					sends: [
						Buffer.concat([frame('ping', '1'), frame('text', 'a'), frame('ping', '2'), frame('text', 'b'), frame('ping', '3')]),
					],
					comes: [pong('1'), text('a'), pong('2'), text('b'), pong('3')],
				},
			],
		},
		{
			section: '5.5.2',
			thrown: 'a ping of 20 bytes, cut into two reads at each of its bytes',
			promised: 'It is answered.',
			cases: cutEverywhere(frame('ping', x(20)), pong(x(20))),
		},
		{
			section: '5.5.3',
			thrown: 'pongs that nothing has asked for, of 0 to 125 bytes',
			promised: 'Nothing comes back, and the connection goes on.',
			cases: Array.from({ length: 126 }, (_, size) => ({ sends: [frame('pong', x(size))], comes: [] })),
		},
		...(['ping', 'pong', 'close'] as const).flatMap((kind): Row[] => [
			{
				section: '5.5',
				thrown: `a ${kind} frame of 126, 127, 65,535 and 65,536 bytes`,
				promised: 'The connection is failed: it is closed with 1002.',
				cases: [126, 127, 65_535, 65_536].map((size) => fails(frame(kind, `\x03\xe8${x(size - 2)}`))),
				deviation: noCloseFrame,
			},
			{
				section: '5.5',
				thrown: `a ${kind} frame that is a first fragment, alone or with its continuation`,
				promised: 'The connection is failed: it is closed with 1002.',
				cases: ['', '\x03\xe8'].flatMap((payload) => [
					fails(frame(kind, payload, { fin: false })),
					fails(frame(kind, payload, { fin: false }), frame('continuation', '')),
				]),
				deviation: noCloseFrame,
			},
		]),
		{
			section: '5.5.1',
			thrown: 'texts, a ping, a pong, wrong frames and a second close frame after a close frame, in the same read',
			promised: 'The close frame is answered, and nothing that follows is published or answered.',
			cases: [
				frame('text', 'after'),
				frame('ping', 'after'),
				frame('pong', 'after'),
				closeFrame(1001),
				frame('continuation', 'after'),
				frame(7, 'after'),
				frame('text', 'after', { rsv: 4 }),
				frame('text', '\xff'),
				frame('binary', 'after'),
			].map((after) => ({ sends: [Buffer.concat([closeFrame(1000), after, frame('text', 'last')])], comes: [close(1000), end] })),
		},
		{
			section: '5.5.1',
			thrown: 'texts after a close frame, in reads of their own',
			promised: 'The close frame is answered, and nothing that follows is published. A proxy may lose the answer.',
			cases: [
				{ sends: [closeFrame(1000), frame('text', 'after'), frame('text', 'last')], goesOn: true, comes: [close(1000), end] },
			],
		},
		{
			section: '5.5.1',
			thrown: '1, 10 and 29 texts before a close frame, in one read',
			promised: 'All are published, to their sender too, and then the close frame is answered.',
			cases: [1, 10, 29].map((count) => closesAfter(count, count)),
		},
		{
			section: '5.5.1',
			thrown: '100 texts before a close frame, in one read',
			promised:
				'All are published. Their sender, which has closed, gets the first of them, and then the answer to its close frame.',
			cases: [closesAfter(100, 30)],
		},
	];
}

function closesAfter(count: number, returned: number): Case {
	const texts = Array.from({ length: count }, (_, i) => `${i} of ${count}`);
	return {
		sends: [Buffer.concat([...texts.map((each) => frame('text', each)), closeFrame(1000)])],
		comes: [...texts.slice(0, returned).map(text), close(1000), end],
		published: texts.map(text),
	};
}
