// RFC 6455, sections 4.2 and 9.1: what a handshake offers, and from where and in which pieces it comes.
import type { HandshakeRow } from './handshaking.js';
import { handshake, upgraded } from './websocket-handshake.js';

const complete = handshake();

export const offerRows: HandshakeRow[] = [
	{
		section: '4.2.2',
		thrown: 'handshakes that offer one subprotocol, three, three in two fields, and three with empty elements',
		promised: 'Answered with 101 and the first subprotocol.',
		cases: ['chat', 'chat, v2.chat,v1', ['chat, v2.chat', 'v1'], ', ,chat,,v2,'].map((each) => ({
			sends: [handshake({ 'Sec-WebSocket-Protocol': each })],
			status: 101,
			fields: { 'sec-websocket-protocol': 'chat' },
		})),
	},
	{
		section: '4.2.2',
		thrown: 'handshakes that offer subprotocols that are no tokens: a blank within, quotes, a slash, or none in the list',
		promised: 'Refused with 400.',
		cases: ['a b', '"chat"', 'a/b', ',', 'chat, a b'].map((each) => ({
			sends: [handshake({ 'Sec-WebSocket-Protocol': each })],
			status: 400,
			names: 'Sec-WebSocket-Protocol',
		})),
	},
	{
		section: '9.1',
		thrown: 'handshakes that offer permessage-deflate with and without parameters, other extensions, and a malformed list',
		promised: 'Answered with 101, and without an extension.',
		cases: [
			'permessage-deflate',
			'permessage-deflate; client_max_window_bits',
			'permessage-deflate; server_no_context_takeover; client_max_window_bits=9, x-webkit-deflate-frame',
			'foo, bar; baz=2',
			';;,=',
			'',
		].map((each) => ({ sends: [handshake({ 'Sec-WebSocket-Extensions': each })], ...upgraded })),
	},
	{
		section: '10.2',
		thrown: 'handshakes of an origin that --origin does not allow, of null, and of one that is malformed',
		promised: 'Refused with 403.',
		flags: ['--origin', 'https://live.example.com'],
		cases: ['https://evil.example.com', 'http://live.example.com', 'https://live.example.com.evil.com', 'null', 'x'].map(
			(each) => ({ sends: [handshake({ Origin: each })], status: 403 }),
		),
	},
	{
		section: '10.2',
		thrown: 'handshakes of an origin that --origin allows, and without an origin',
		promised: 'Answered with 101.',
		flags: ['--origin', 'https://live.example.com'],
		cases: ['https://live.example.com', undefined].map((each) => ({ sends: [handshake({ Origin: each })], ...upgraded })),
	},
	{
		section: '4.2.1',
		thrown: 'a handshake that is cut into two reads at each of its bytes',
		promised: 'Answered with 101.',
		cases: Array.from({ length: complete.length - 1 }, (_, i) => ({
			sends: [complete.slice(0, i + 1), complete.slice(i + 1)],
			...upgraded,
		})),
	},
	{
		section: '4.2.1',
		thrown: 'a handshake of which each byte comes in a read of its own',
		promised: 'Answered with 101.',
		cases: [{ sends: [...complete], ...upgraded }],
	},
];
