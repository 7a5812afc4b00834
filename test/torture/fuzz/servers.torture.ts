// The same at servers with TLS and with an authorisation service, and at the operator's listener.
import type { TestContext } from 'node:test';
import { type Question, type Script, startService } from '../../support/service.js';
import { inForm, torture } from '../support/torture.js';
import { chunkedPosts, groups, oneOf, operatorRequests, pages, posts, streams, websockets } from './support/conversation.js';
import { fuzz, promised } from './support/fuzz.js';
import { playTampered } from './support/tampered.js';

const all = oneOf(websockets, posts, chunkedPosts, pages, streams);

torture({ thrown: 'conversations of all kinds, changed at every level, within TLS', promised }, (t) =>
	fuzz(t, {
		setting: { isTls: true },
		kind: { maker: all, levels: ['frames', 'requests', 'chunks', 'bytes'], promisesNothing: true },
	}),
);

torture({ thrown: 'TLS records that are changed on their way, from the ClientHello on', promised }, (t) =>
	fuzz(t, {
		setting: { isTls: true },
		// The conversation itself is whole.
		kind: { maker: oneOf(websockets, posts, streams), levels: ['records'], promisesNothing: true },
		connect: (target) => target.connectPlainly(),
		play: playTampered,
		// The engine keeps a connection whose records it cannot read until its time-out, even if the client has reset it.
		batches: inForm(1, 3),
	}),
);

torture({ thrown: "changed requests to the operator's listener", promised }, (t) =>
	fuzz(t, {
		setting: { toOperator: true },
		kind: { maker: operatorRequests, levels: ['requests', 'chunks', 'bytes'], promisesNothing: true },
		inputs: 24_000,
	}),
);

/** Answers that differ with the query of the request. Without one, everything is allowed. */
const answers: readonly Script[] = [
	(question) => question.answer(204),
	(question) => question.answer(200, [['X-Session', `s${question.url.length}`]], 'hello'),
	(question) => question.answer(204, [['X-Session', 'shared']]),
	(question) => question.answer(204, [['X-Publish', 'none']]),
	(question) => question.answer(204, [['X-Publish', '/fuzz/1']]),
	(question) => question.answer(204, [['X-Rewrite', '/fuzz/0']]),
	(question) => question.answer(204, [['X-Max-Age', '1']]),
	(question) => question.answer(403, [], 'no'),
	(question) => question.answer(200, [['X-Session', 'a,b']]),
	(question) => question.write('HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'),
];

function answerByQuery(question: Question): void {
	const [, query] = /\?(.+)/.exec(question.url) ?? [];
	if (query === undefined) question.answer(204);
	else answers[query.split('').reduce((sum, character) => sum + character.charCodeAt(0), 0) % answers.length]?.(question);
}

async function fuzzAsking(t: TestContext): Promise<string> {
	const service = await startService(t, answerByQuery);
	return fuzz(t, {
		setting: { hasGroups: true, flags: ['--auth', service.url, '--auth-timeout', '1s'], otherDescriptors: () => service.open },
		kind: {
			maker: oneOf(websockets, groups, posts, streams),
			levels: ['requests', 'requests', 'frames', 'texts', 'bytes'],
			promisesNothing: true,
		},
	});
}

torture(
	{ thrown: 'conversations of all kinds, with `--auth`, sessions and a service that errs now and then', promised },
	fuzzAsking,
);
