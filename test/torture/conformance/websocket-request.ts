// RFC 6455, section 4.2.1: the version of HTTP, the Host, and fields that come twice.
import { handshakeHeaders } from '../../support/http.js';
import { thisEngine } from '../../support/malformed.js';
import type { Answer, HandshakeCase, HandshakeRow } from './handshaking.js';
import { handshake, upgraded, version426 } from './websocket-handshake.js';

const key = handshakeHeaders['Sec-WebSocket-Key'];
const closed: Answer = { status: 0 };
const is13First = ({ sends }: HandshakeCase) => /Version: (\d+)/.exec(sends.join(''))?.[1] === '13';

type Through = NonNullable<HandshakeRow['through']>;
/** The newer engine is tried with nginx 1.26, which joins the fields. */
function olderNginx(answer: (promised: HandshakeCase) => Answer, says: string): Through {
	return thisEngine === 'older' ? { nginx: { answer, says } } : {};
}

export const requestRows: HandshakeRow[] = [
	{
		section: '4.2.1',
		thrown: 'a handshake over HTTP/1.0',
		promised: 'Refused with a status of 4xx or 505.',
		cases: [{ sends: [handshake().replace('HTTP/1.1', 'HTTP/1.0')], status: thisEngine === 'newer' ? 505 : 400 }],
		through: {
			...(thisEngine === 'older' && {
				direct: {
					answer: () => closed,
					says: 'not answered: the engine waits until the connection times out. No websocket opens.',
				},
			}),
			nginx: {
				answer: () => upgraded,
				says: 'answered with 101, as nginx speaks HTTP/1.1 with the server. Such a client cannot expect a websocket, and breaks the RFC.',
			},
			...(thisEngine === 'newer' && {
				HAProxy: { answer: () => ({ status: 400 }), says: 'refused by HAProxy itself with 400.' },
			}),
		},
	},
	{
		section: '4.2.1',
		thrown: 'a handshake without Host',
		promised: 'Refused with 400.',
		cases: [{ sends: [handshake({ Host: undefined })], status: 400 }],
		through:
			thisEngine === 'newer'
				? {}
				: {
						direct: { answer: () => closed, says: 'not answered: the engine closes the connection. No websocket opens.' },
						HAProxy: {
							answer: () => ({ status: 502 }),
							says: 'answered with 502, as the engine closes the connection. No websocket opens.',
						},
					},
	},
	{
		section: '4.2.1',
		thrown: 'handshakes with two Sec-WebSocket-Key fields, different and equal',
		promised: 'Refused with 400, and a line that names the field.',
		cases: ['AQIDBAUGBwgJCgsMDQ4PEA==', key].map((other) => ({
			sends: [handshake({ 'Sec-WebSocket-Key': [key, other] })],
			status: 400,
			names: 'Sec-WebSocket-Key',
		})),
		through: olderNginx(() => upgraded, 'answered with 101, as this nginx passes on the first of the two alone.'),
	},
	{
		section: '4.2.1',
		thrown: 'handshakes with two Sec-WebSocket-Version fields: 13 and 8, 8 and 13, 13 twice',
		promised: 'Refused with 426 and Sec-WebSocket-Version: 13.',
		cases: [
			['13', '8'],
			['8', '13'],
			['13', '13'],
		].map((versions) => ({ sends: [handshake({ 'Sec-WebSocket-Version': versions })], ...version426 })),
		through: olderNginx(
			(promised) => (is13First(promised) ? upgraded : promised),
			'answered with 101 if the first of the two is 13, as this nginx passes on the first alone.',
		),
	},
];
