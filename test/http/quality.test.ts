// Which requests want an event stream.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefersEventStream } from '#src/http/quality.js';

test('an event stream has to be named, and to be wanted more than a page that is named too', () => {
	const streams = [
		'text/event-stream',
		'Text/Event-Stream',
		'text/event-stream, */*',
		'text/event-stream;q=0.5, text/*;q=0.5',
		'text/event-stream, text/html;q=0.9',
		'application/json, text/event-stream',
	];
	const pages = [
		undefined,
		'',
		'*/*',
		'text/*',
		'text/html, text/event-stream',
		'text/html, text/event-stream;q=0.9, */*',
		'text/event-stream;q=0',
		'text/event-stream;q=0.1, */*',
		'text/event-streams',
		'text/event-stream;q=x',
	];
	for (const accept of streams) assert.equal(prefersEventStream(accept), true, accept);
	for (const accept of pages) assert.equal(prefersEventStream(accept), false, accept);
});
