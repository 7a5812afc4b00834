// Requests that no client should send, and some that it should.
import { torture } from '../support/torture.js';
import { chunkedPosts, oneOf, pages, pipelines, posts, shortAnswers, streams } from './support/conversation.js';
import { type Aim, fuzz, promised } from './support/fuzz.js';

// Too many requests of all connections together, and too many unread answers, close a connection that pipelines: docs/limits.md. So only
// these few clients are promised that all is published.
const clientsAtOnce = 2;

const promisesNothing = true;

const rows: readonly (readonly [thrown: string, aim: Aim])[] = [
	[
		'valid requests, up to 16 of them pipelined, none changed',
		{ kind: { maker: oneOf(shortAnswers, streams), levels: [] }, clientsAtOnce },
	],
	['POSTs and PUTs with changed bytes', { kind: { maker: oneOf(posts, chunkedPosts), levels: ['bytes'], promisesNothing } }],
	[
		'changed methods, targets, versions, fields and lengths',
		{ kind: { maker: oneOf(posts, pages), levels: ['requests'], promisesNothing } },
	],
	[
		'chunked bodies with wrong sizes, orders and ends',
		{ kind: { maker: chunkedPosts, levels: ['chunks', 'chunks', 'bytes'], promisesNothing } },
	],
	[
		'4 to 16 pipelined requests, some changed',
		{ kind: { maker: pipelines, levels: ['requests', 'chunks', 'bytes'], promisesNothing } },
	],
	['changed requests for event streams', { kind: { maker: streams, levels: ['requests', 'bytes'] } }],
	['changed requests for the test page', { kind: { maker: pages, levels: ['requests', 'bytes'] } }],
];

for (const [thrown, aim] of rows) torture({ thrown, promised }, (t) => fuzz(t, aim));
