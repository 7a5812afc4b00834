// Handshakes and frames that no client should send, and some that it should.
import { torture } from '../support/torture.js';
import { chunkedPosts, groups, oneOf, pages, posts, streams, websockets } from './support/conversation.js';
import { type Aim, fuzz, promised } from './support/fuzz.js';

const hasGroups = { hasGroups: true };
// Under these flags the server closes clients for their messages: such clients must leave nothing behind either.
const strict = { flags: ['--binary', '--echo-keepalive', '--max-message', '1KiB', '--max-path', '20'] };

const rows: readonly (readonly [thrown: string, aim: Aim])[] = [
	['valid websockets, none changed', { kind: { maker: websockets, levels: [] } }],
	['changed handshakes', { kind: { maker: websockets, levels: ['requests'] } }],
	['frames with changed bits, opcodes, lengths, masks, orders and closes', { kind: { maker: websockets, levels: ['frames'] } }],
	['handshakes and frames with changed bytes', { kind: { maker: websockets, levels: ['bytes'] } }],
	['valid websockets of several channels, none changed', { setting: hasGroups, kind: { maker: groups, levels: [] } }],
	['changed commands of `--groups`', { setting: hasGroups, kind: { maker: groups, levels: ['texts'] } }],
	['changed frames and bytes of `--groups`', { setting: hasGroups, kind: { maker: groups, levels: ['frames', 'bytes'] } }],
	[
		'changed frames and messages, with `--binary` and small limits',
		{ setting: strict, kind: { maker: oneOf(websockets, posts), levels: ['frames', 'texts', 'bytes'], promisesNothing: true } },
	],
	[
		'conversations of all kinds, changed at every level, and parts of each put into others',
		{
			setting: hasGroups,
			kind: {
				maker: oneOf(websockets, groups, posts, chunkedPosts, pages, streams),
				levels: ['frames', 'requests', 'chunks', 'texts', 'bytes'],
				promisesNothing: true,
			},
		},
	],
];

for (const [thrown, aim] of rows) torture({ thrown, promised }, (t) => fuzz(t, aim));
