// RFC 3986, as docs/protocol.md has it: a channel is the path, percent-decoded once, and nothing else is normalised.
import { type HttpRow, type Input, publish, row, served, ways } from './http-rows.js';

const encoded = (character: string, digits: 'toLowerCase' | 'toUpperCase') =>
	`%${character.charCodeAt(0).toString(16)[digits]()}`;
const publishTo = (...paths: ((room: string) => string)[]): Input[] => paths.map((path) => (room) => publish(path(room), 'x'));
const same = { publishes: ['x'], shows: { fields: { 'x-subscribers': '1' } } };
const another = { shows: { fields: { 'x-subscribers': '0' } } };
const malformed = /^400 (open|closed)$/;

export const paths: readonly HttpRow[] = [
	row(
		'3986 2.3',
		'letters of the path that are percent-encoded',
		'It is the same channel.',
		publishTo(
			(room) => `/%72${room.slice(2)}`,
			(room) => `/${[...room.slice(1)].map((character) => encoded(character, 'toLowerCase')).join('')}`,
		),
		served,
		'200 open',
		same,
	),
	row(
		'3986 6.2.2.1',
		'percent-encodings in upper and lower case, and UTF-8 in two, three and four bytes',
		'The channel is served, and is another than without them.',
		publishTo(
			(room) => `${room}%c3%a9`,
			(room) => `${room}%C3%A9`,
			(room) => `${room}%E2%82%AC`,
			(room) => `${room}%f0%9f%98%80`,
		),
		served,
		'200 open',
		another,
	),
	row(
		'3986 2.4',
		'a path that is percent-encoded twice',
		'It is decoded once: another channel.',
		publishTo((room) => `/%2572${room.slice(2)}`),
		served,
		'200 open',
		another,
	),
	row(
		'3986 2.2',
		'`%2F` in the path, `;`, `+`, and a slash at the end',
		'They are other channels.',
		publishTo(
			(room) => `/%2F${room.slice(1)}`,
			(room) => `${room};x`,
			(room) => `${room}+`,
			(room) => `${room}/`,
			(room) => `${room}%2F`,
		),
		served,
		'200 open',
		another,
	),
	row(
		'3986 6.2.2.3',
		'dot segments, encoded ones, and empty segments',
		'They are not removed: other channels.',
		publishTo(
			(room) => `/x/..${room}`,
			(room) => `/.${room}`,
			(room) => `${room}/.`,
			(room) => `/x/%2e%2e${room}`,
			(room) => `/${room}`,
			(room) => `//${room}`,
		),
		served,
		'200 open',
		another,
	),
	row(
		'3986 6.2.2.3',
		'a path that leads above the root, and `%00` in a path',
		'It is another channel, or refused.',
		publishTo(
			(room) => `/..${room}`,
			(room) => `/../..${room}`,
			(room) => `/%2e%2e${room}`,
			(room) => `${room}%00`,
		),
		/^(200 open|400 closed)$/,
		ways('200 open', '400 closed', '200 open'),
		another,
	),
	row(
		'3986 2.1',
		'`%` without two hexadecimal digits',
		'It is answered with 400.',
		publishTo(
			(room) => `${room}%`,
			(room) => `${room}%z0`,
			(room) => `${room}%0`,
			(room) => `${room}%u0041`,
		),
		malformed,
		ways('400 open', '400 closed', '400 open'),
	),
	row(
		'3629 3',
		'encodings that are not UTF-8: a single byte, an overlong form, a surrogate, above U+10FFFF, cut short',
		'It is answered with 400.',
		publishTo(
			(room) => `${room}%ff`,
			(room) => `${room}%C0%AF`,
			(room) => `${room}%E0%80%AF`,
			(room) => `${room}%ED%A0%80`,
			(room) => `${room}%F4%90%80%80`,
			(room) => `${room}%C3`,
		),
		malformed,
		'400 open',
	),
	row(
		'3986 2',
		'raw bytes above 0x7f that are UTF-8',
		'The channel is that of their encoding, or they are refused.',
		publishTo(
			(room) => `${room}\xc3\xa9`,
			(room) => `${room}\xf0\x9f\x98\x80`,
		),
		/^(200 open|400 closed)$/,
		ways('200 open', '200 open', '400 closed'),
		{ ...same, channels: [(room) => `${room}%C3%A9`, (room) => `${room}%F0%9F%98%80`] },
	),
	row(
		'3986 2',
		'raw bytes above 0x7f that are not UTF-8',
		'It is answered with 400.',
		publishTo(
			(room) => `${room}\xe9`,
			(room) => `${room}\xc0\xaf`,
			(room) => `${room}\xff`,
		),
		malformed,
		ways('400 open', '400 open', '400 closed'),
	),
	row(
		'9110 4.1',
		'a path of 256 characters',
		'It is served.',
		publishTo(
			(room) => room.padEnd(256, 'a'),
			(room) => `${room}${'%C3%A9'.repeat(256 - room.length)}`,
		),
		served,
		'200 open',
		another,
	),
	row(
		'9110 4.1',
		'a path of 257 characters',
		'It is answered with 400.',
		publishTo(
			(room) => room.padEnd(257, 'a'),
			(room) => `${room}${'%C3%A9'.repeat(257 - room.length)}`,
		),
		malformed,
		'400 open',
	),
];
