// Requests that no client should send, and some that it should.
import { torture } from '../support/torture.js';
import { chunkedPosts, oneOf, pages, pipelines, posts, streams } from './support/conversation.js';
import { type Aim, fuzz, promised } from './support/fuzz.js';

// Pipelined requests of all connections together count in a tick, and too many close a connection: docs/limits.md.
const clientsAtOnce = 6;

const rows: readonly (readonly [thrown: string, aim: Aim])[] = [
	[
		'valid requests, none changed',
		{ kind: { maker: oneOf(posts, chunkedPosts, pages, pipelines, streams), levels: [] }, clientsAtOnce },
	],
	['POSTs and PUTs with changed bytes', { kind: { maker: oneOf(posts, chunkedPosts), levels: ['bytes'] } }],
	['changed methods, targets, versions, fields and lengths', { kind: { maker: oneOf(posts, pages), levels: ['requests'] } }],
	['chunked bodies with wrong sizes, orders and ends', { kind: { maker: chunkedPosts, levels: ['chunks', 'chunks', 'bytes'] } }],
	[
		'4 to 16 pipelined requests, some changed',
		{ kind: { maker: pipelines, levels: ['requests', 'chunks', 'bytes'] }, clientsAtOnce },
	],
	['changed requests for event streams', { kind: { maker: streams, levels: ['requests', 'bytes'] } }],
	['changed requests for the test page', { kind: { maker: pages, levels: ['requests', 'bytes'] } }],
];

for (const [thrown, aim] of rows) torture({ thrown, promised }, (t) => fuzz(t, aim));
