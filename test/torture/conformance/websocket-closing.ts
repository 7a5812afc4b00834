// RFC 6455, sections 7.1 and 7.4: how a connection is closed, and with which codes.
import { notUtf8, protocolError } from './cases.js';
import type { Row } from './conversation.js';
import { closeWithoutCode } from './deviations.js';
import { close, closeFrame, end, frame, text, utf8 } from './frames.js';

// Codes of the registry (section 11.7) that an endpoint may send, and the ends of the ranges that are free for libraries and applications.
const validCodes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 4000, 4001, 4999];
const laterCodes = [1012, 1013, 1014, 3000, 3001, 3500, 3999];
const reservedCodes = [1004, 1005, 1006, 1015];
const unusedCodes = [1016, 1017, 1100, 1999, 2000, 2001, 2500, 2998, 2999];
const outsideCodes = [0, 1, 2, 255, 256, 500, 998, 999, 5000, 5001, 10_000, 32_768, 65_534, 65_535];

const withoutCode = closeWithoutCode(
	'It is answered by a close frame without a code: the client, which is leaving anyway, sees 1005.',
);
const reasons = ['a', 'a reason', utf8('\u20ac'.repeat(41)), 'x'.repeat(123), '\0', ' '];

function codeRow(thrown: string, codes: readonly number[]): Row {
	return {
		section: '7.4',
		thrown,
		promised: 'The connection is failed: it is closed with 1002.',
		cases: codes.map((code) => ({ sends: [closeFrame(code)], comes: protocolError })),
		deviation: withoutCode,
	};
}

export const closingRows: Row[] = [
	{
		section: '5.5.1',
		thrown: 'a close frame without a payload',
		promised: 'It is answered by a close frame without a payload.',
		cases: [{ sends: [frame('close')], comes: [close(), end] }],
	},
	{
		section: '7.4',
		thrown: `close frames with each code that an endpoint may send: ${validCodes.join(', ')}`,
		promised: 'It is answered by a close frame with the same code.',
		cases: validCodes.map((code) => ({ sends: [closeFrame(code)], comes: [close(code), end] })),
	},
	{
		section: '7.4',
		thrown: `close frames with codes that were registered later, or are for libraries: ${laterCodes.join(', ')}`,
		promised: 'It is answered by a close frame with the same code, as is usual.',
		cases: laterCodes.map((code) => ({ sends: [closeFrame(code)], comes: [close(code), end] })),
		deviation: withoutCode,
	},
	{
		section: '7.1.6',
		thrown: 'close frames with reasons of 1 to 123 bytes of UTF-8',
		promised: 'Each is answered by a close frame with the same code and reason.',
		cases: reasons.map((reason) => ({ sends: [closeFrame(1000, reason)], comes: [close(1000, reason), end] })),
	},
	codeRow(`close frames with the codes that stand for no close frame or for TLS: ${reservedCodes.join(', ')}`, reservedCodes),
	codeRow(`close frames with codes that are reserved and not defined: ${unusedCodes.join(', ')}`, unusedCodes),
	codeRow(`close frames with codes below 1000 and above 4999: ${outsideCodes.join(', ')}`, outsideCodes),
	{
		section: '5.5.1',
		thrown: 'close frames with a payload of one byte, each of the 256',
		promised: 'The connection is failed: it is closed with 1002.',
		cases: Array.from({ length: 256 }, (_, byte) => ({ sends: [frame('close', Buffer.from([byte]))], comes: protocolError })),
		deviation: withoutCode,
	},
	{
		section: '7.1.6',
		thrown: 'close frames whose reason is not UTF-8: overlong, a surrogate, above U+10FFFF, cut short, a stray byte',
		promised: 'The connection is failed: it is closed with 1007.',
		cases: ['\xc0\x80', '\xed\xa0\x80', '\xf4\x90\x80\x80', 'a\xe2\x82', '\x80', 'right, and then \xff'].map((reason) => ({
			sends: [closeFrame(1000, reason)],
			comes: notUtf8,
		})),
		deviation: withoutCode,
	},
	{
		section: '7.1.1',
		thrown: 'a close frame from a client that keeps its side of the TCP connection open',
		promised: 'The server answers it, and ends the TCP connection first.',
		cases: [{ sends: [frame('text', 'last'), closeFrame(1000)], comes: [text('last'), close(1000), end] }],
	},
	{
		section: '7.1.1',
		thrown: 'a close frame of 8 bytes, cut into two reads at each of them',
		promised: 'It is answered by a close frame with the same code.',
		cases: Array.from({ length: 7 }, (_, i) => ({
			sends: [closeFrame(1000).subarray(0, i + 1), closeFrame(1000).subarray(i + 1)],
			comes: [close(1000), end],
		})),
	},
];
