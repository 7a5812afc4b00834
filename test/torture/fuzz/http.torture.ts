// Requests that no client should send, and some that it should.
import { torture } from '../support/torture.js';
import { chunkedPosts, oneOf, pages, pipelines, posts, streams } from './support/conversation.js';
import { fuzz } from './support/fuzz.js';
import type { Kind } from './support/input.js';

const promised = 'The server goes on, gives back what it took, and its other clients notice nothing.';

const rows: readonly (readonly [thrown: string, kind: Kind])[] = [
	['valid conversations of each kind', { maker: oneOf(posts, chunkedPosts, pages, pipelines, streams), levels: [] }],
	['POSTs and PUTs with changed bytes', { maker: oneOf(posts, chunkedPosts), levels: ['bytes'] }],
	['requests with changed methods, targets, versions, fields and lengths', { maker: oneOf(posts, pages), levels: ['requests'] }],
	['chunked bodies with wrong sizes, orders and ends', { maker: chunkedPosts, levels: ['chunks', 'chunks', 'bytes'] }],
	['up to 16 pipelined requests, some of them changed', { maker: pipelines, levels: ['requests', 'chunks', 'bytes'] }],
	['changed requests for event streams', { maker: streams, levels: ['requests', 'bytes'] }],
	['changed requests for the test page', { maker: pages, levels: ['requests', 'bytes'] }],
];

for (const [thrown, kind] of rows) {
	torture({ thrown, promised }, (t) => fuzz(t, { kind, quick: 600, whole: 8_400 }));
}
