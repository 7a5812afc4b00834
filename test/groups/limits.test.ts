// How many channels and changes a connection may have, and what becomes of a client that asks for more, or sends without end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changed, openGroups } from '../support/groups.js';
import { protocol } from '../support/protocol.js';
import { metric, metricBecomes, startTestServer } from '../support/server.js';
import { allow, answering, hold, startService } from '../support/service.js';
import { handled } from '../support/subscriber.js';

const pathsTo = (count: number) => Array.from({ length: count }, (_, i) => `/${i}`).join(' ');

protocol(
	'A connection may have `--max-groups` channels (64, the path of the URL included), and change them 10 times a second; more channels are refused with 413, more changes with 429. While 64 changes are unanswered, a further change closes the connection with 1008.',
	async (t) => {
		const service = await startService(t);
		const server = await startTestServer(t, '--groups', '--auth', service.url);
		const client = await openGroups(t, server, '/room');
		assert.deepEqual(await client.change(`subscribe: ${pathsTo(64)}`), changed(pathsTo(64), pathsTo(64), '/room'));
		const tooMany = ['', 413, 'A connection may have 64 channels at most (--max-groups).'];
		for (const frame of [`subscribe: ${pathsTo(65)}`, 'add: /65', 'add: /0 /1 /room']) {
			client.send(frame);
			assert.deepEqual(await client.nextRefusal(), tooMany, frame);
		}
		// None of them has been asked about.
		assert.equal(service.asked, 65);
		assert.deepEqual(await client.change(`subscribe: ${pathsTo(63)} /64`), changed(`${pathsTo(63)} /64`, '/64', '/63'));

		const fast = await openGroups(t, server, '/room');
		for (let i = 0; i < 50; i++) fast.send(`add: /${i % 2}`);
		const statuses: (string | undefined)[] = [];
		while (statuses.length < 50) statuses.push((await fast.nextAnswer()).status);
		const made = statuses.filter((status) => status === undefined).length;
		assert.ok(made >= 10 && made < 40, `${made} of 50 changes were made`);
		assert.deepEqual(new Set(statuses), new Set([undefined, '429']));
		// A refused change takes nothing from the allowance, so a client that tries again succeeds.
		while ((await fast.change('subscribe: /0')).status === '429');
		assert.deepEqual((await fast.change('add:')).left ?? '', '');

		const waiting = await openGroups(t, server, '/room');
		service.script = hold;
		for (let i = 0; i < 64; i++) waiting.send('add: /held');
		await handled(waiting.subscriber);
		assert.equal(waiting.ws.readyState, waiting.ws.OPEN);
		waiting.send('add:');
		assert.deepEqual(await waiting.framesUntilClosed(1008), []);
		assert.match((await waiting.closed).reason, /^too many changes at once/);
		await metricBecomes(server, 'pathcast_auth_questions_total{outcome="cancelled"}', 1);
	},
);

test('--max-channels and --max-subscribers count each subscription of a change once, also of two names for one channel', async (t) => {
	const oneChannel = answering(204, [['X-Rewrite', '/one']]);
	const service = await startService(t);
	const start = async (...flags: string[]) => {
		service.script = allow;
		const server = await startTestServer(t, '--groups', '--auth', service.url, ...flags);
		const client = await openGroups(t, server, '/room');
		service.script = oneChannel;
		return { server, client };
	};
	const few = await start('--max-channels', '2');
	assert.deepEqual(await few.client.change('add: /x /y'), changed('/room /x /y', '/x /y'));
	assert.equal(await metric(few.server, 'pathcast_channels'), 2);
	service.script = allow;
	few.client.send('add: /z');
	assert.deepEqual((await few.client.nextRefusal()).slice(0, 2), ['/z', 503]);

	const small = await start('--max-subscribers', '2');
	small.client.send('add: /x /y /z');
	const [path, status, reason] = await small.client.nextRefusal();
	assert.deepEqual([path, status], ['/z', 503]);
	assert.match(reason, /--max-subscribers/);
	assert.equal(await metric(small.server, 'pathcast_channels'), 1);
	assert.deepEqual(await small.client.change('add: /x /y'), changed('/room /x /y', '/x /y'));
});

test('at --max-channels and --max-subscribers, a change may put channels in the place of others', async (t) => {
	const few = await startTestServer(t, '--groups', '--max-channels', '2');
	const client = await openGroups(t, few, '/a');
	assert.deepEqual(await client.change('add: /b'), changed('/a /b', '/b'));
	assert.deepEqual(await client.change('subscribe: /c /d'), changed('/c /d', '/c /d', '/a /b'));
	client.send('subscribe: /e /f /g');
	assert.deepEqual((await client.nextRefusal()).slice(0, 2), ['/g', 503]);
	const other = await openGroups(t, few, '/d');
	// The other client holds /d open.
	client.send('subscribe: /e /f');
	assert.deepEqual((await client.nextRefusal()).slice(0, 2), ['/f', 503]);
	await other.close();
	await metricBecomes(few, 'pathcast_connections', 1);
	assert.deepEqual(await client.change('subscribe: /e /f'), changed('/e /f', '/e /f', '/c /d'));

	const service = await startService(t);
	const small = await startTestServer(t, '--groups', '--auth', service.url, '--max-subscribers', '2');
	service.script = answering(204, [['X-Rewrite', '/one']]);
	const one = await openGroups(t, small, '/x');
	assert.deepEqual(await one.change('add: /y'), changed('/x /y', '/y'));
	assert.deepEqual(await one.change('subscribe: /y /z'), changed('/y /z', '/z', '/x'));
	one.send('add: /x');
	assert.deepEqual((await one.nextRefusal()).slice(0, 2), ['/x', 503]);
});

test('--max-rate counts every frame of a client: changes, refused ones, messages and empty frames', async (t) => {
	for (const frame of ['add:', 'nonsense', 'publish: /room\n\nx', 'publish: /other\n\nx', '']) {
		const server = await startTestServer(t, '--groups', '--max-rate', '3');
		const client = await openGroups(t, server, '/room');
		for (let i = 0; i < 50; i++) client.send(frame);
		const frames = await client.framesUntilClosed(1008);
		assert.match((await client.closed).reason, /--max-rate/);
		assert.ok(
			frame === '' ? frames.length === 0 : frames.length >= 3 && frames.length < 50,
			`${frames.length} answers to ${frame}`,
		);
	}
});
