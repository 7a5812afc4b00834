// RFC 6455, sections 5.1 and 5.3: a client masks each frame, the server none.

import type { Random } from '../../support/random.js';
import { cutEverywhere, fails, protocolError, textOnly } from './cases.js';
import type { Case, Row } from './conversation.js';
import { lenient } from './deviations.js';
import { close, end, frame, type Item, type Kind, pong, text, utf8 } from './frames.js';

const edgeMasks = ['00000000', 'ffffffff', 'ff000000', '00ff0000', '0000ff00', '000000ff', '80808080', '00010203', '0d0a0d0a'];

const first = frame('text', 'first, ', { fin: false });

function maskedBy(mask: Buffer, payload: string): Case {
	return { sends: [frame('text', payload, { mask })], comes: [text(payload)] };
}

export function maskingRows(random: Random): Row[] {
	const randomMask = () => Buffer.from(Array.from({ length: 4 }, () => random.below(256)));
	const word = 'ab\u0001 z\u00e9\u20ac\u{1f600}';
	return [
		{
			section: '5.3',
			thrown: 'texts under masks of zeroes, of ones, with one byte set, and at random',
			promised: 'Each text is published as it was before it was masked.',
			cases: [...edgeMasks.map((mask) => Buffer.from(mask, 'hex')), ...Array.from({ length: 64 }, randomMask)].map((mask) =>
				maskedBy(mask, utf8(word)),
			),
		},
		{
			section: '5.3',
			thrown: 'texts of each length from 1 byte to 260, each under a mask at random',
			promised: 'Each text is published as it was before it was masked.',
			cases: Array.from({ length: 260 }, (_, i) => maskedBy(randomMask(), 'abcdefghijklm'.repeat(20).slice(0, i + 1))),
		},
		{
			section: '5.3',
			thrown: 'a text of 4 fragments, each under a mask of its own',
			promised: 'The whole text is published.',
			cases: Array.from({ length: 16 }, () => {
				const parts = ['one, ', 'two, ', 'three, ', 'four'];
				const sends = parts.map((part, i) =>
					frame(i === 0 ? 'text' : 'continuation', part, { fin: i === 3, mask: randomMask() }),
				);
				return { sends: [Buffer.concat(sends)], comes: [text(parts.join(''))] };
			}),
		},
		{
			section: '5.3',
			thrown: 'a masked text, cut into two reads at each of its bytes, inside the mask too',
			promised: 'The whole text is published each time.',
			cases: [0, 4, 130].flatMap((more) =>
				cutEverywhere(frame('text', `masked${'.'.repeat(more)}`), text(`masked${'.'.repeat(more)}`)),
			),
		},
		{
			section: '5.1',
			thrown: 'frames of each kind without a mask',
			promised: 'The connection is failed: it is closed with 1002.',
			apart: true,
			cases: [
				unmasked('text', '', []),
				unmasked('text', 'hello', [text('hello')]),
				unmasked('ping', 'hello', [pong('hello')]),
				unmasked('pong', 'hello', []),
				unmasked('close', '\x03\xe8', [close(1000), end]),
				unmasked('binary', 'hello', textOnly),
				{
					sends: [first, ...unmasked('continuation', 'hello', []).sends],
					comes: protocolError,
					lenient: [text('first, hello')],
				},
			],
			deviation: lenient(
				'The engine does not look at the mask bit: it reads the four bytes after the length as a mask, here four zeroes. Only a client that breaks the RFC sends such frames.',
			),
		},
		{
			section: '5.1',
			thrown:
				'text, binary and continuation frames without a mask, and a text behind them, which become invalid when read as masked',
			promised: 'The connection is failed: it is closed with 1002.',
			apart: true,
			cases: [
				...['hello', 'a longer text without a mask'].map((payload) => garbled(frame('text', payload, { mask: undefined }))),
				garbled(frame('text', '\x80\0\0\0hello', { mask: undefined, length: 5n })),
				{ ...garbled(frame('binary', 'hello', { mask: undefined })), lenient: textOnly },
				garbled(first, frame('continuation', 'hello', { mask: undefined })),
			],
			deviation: lenient(
				'The engine reads the first four bytes of the payload as a mask, and garbles the messages of this client, which breaks the RFC. The connection ends: without a close frame after a text, which is no longer UTF-8, and with 1003 after a binary frame. Nothing is published.',
			),
		},
	];
}

/** Frames after which the engine drops the connection, as it reads them otherwise than they are meant. */
function garbled(...frames: readonly Buffer[]): Case {
	return { ...fails(...frames), lenient: [end] };
}

/** A frame without the mask bit, whose first four bytes are zeroes: read as a mask, they change nothing. */
function unmasked(kind: Kind, payload: string, comes: readonly Item[]): Case {
	const length = BigInt(payload.length);
	return { sends: [frame(kind, `\0\0\0\0${payload}`, { mask: undefined, length })], comes: protocolError, lenient: comes };
}
