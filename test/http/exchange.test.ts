import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { readOptions } from '#src/options/reading.js';
import { startServer } from '#src/server.js';
import { openStream } from '../support/event-stream.js';
import { post } from '../support/http.js';
import { subscribe } from '../support/subscriber.js';

test('a throw inside a handler answers 500 or closes with 1011, is logged with its stack, and the server goes on', async (t) => {
	const options = readOptions(['--addr', '127.0.0.1:0', '--mport', 'off', '--log-level', 'debug'], {}, 'test');
	assert.ok(!('text' in options));
	// A log that fails on a poisoned path: every handler writes to it at debug.
	const errors: { err: { stack: string } }[] = [];
	const log = pino(
		{ level: 'debug' },
		{ write: (line) => void (JSON.parse(line).level === 50 && errors.push(JSON.parse(line))) },
	);
	const debug = log.debug.bind(log);
	log.debug = ((fields: { event: string; path: string }, text: string) => {
		if (fields.path === `/${fields.event}`) throw new Error(`poisoned ${fields.event}`);
		debug(fields, text);
	}) as typeof log.debug;
	const server = await startServer(options, log);
	t.after(() => server.stop());
	assert.ok('port' in server.address);
	const { port } = server.address;
	const ws = (path: string) => `ws://127.0.0.1:${port}${path}`;

	assert.equal((await post(port, '/publish', 'x')).status, 500);
	assert.equal((await (await subscribe(t, ws('/open'))).closed).code, 1011);
	const publisher = await subscribe(t, ws('/publish'));
	publisher.send('x');
	assert.deepEqual(await publisher.closed, {
		code: 1011,
		reason: 'the server failed to handle this connection; its log says why',
	});
	await (await subscribe(t, ws('/close'))).close();
	assert.equal(await (await openStream(t, { port }, '/open')).closed, 'ended');
	(await openStream(t, { port }, '/close')).socket.destroy();
	while (errors.length < 6) await post(port, '/well', '');

	const well = await subscribe(t, ws('/well'));
	assert.equal((await post(port, '/well', 'x')).headers.get('x-subscribers'), '1');
	assert.equal(await well.nextText(), 'x');
	assert.deepEqual(
		errors.map(({ err }) => /poisoned \w+/.exec(err.stack)?.[0]),
		['poisoned publish', 'poisoned open', 'poisoned publish', 'poisoned close', 'poisoned open', 'poisoned close'],
	);
	for (const { err } of errors) assert.match(err.stack, /\n +at /);
});
