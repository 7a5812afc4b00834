// Clients that send frames without end: they are refused, or closed, keep little of the server's memory, and hold up nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { changed, type GroupClient, openGroups } from '../support/groups.js';
import { post } from '../support/http.js';
import { metric, metricBecomes, startTestServer, type TestServer } from '../support/server.js';
import { tls, tlsFlags } from '../support/tls.js';

const frames: Record<string, string> = {
	'changes that name many paths': `subscribe: ${Array.from({ length: 60 }, (_, i) => `/${'x'.repeat(50)}${i}`).join(' ')}`,
	'changes that name too many': `add:${' /x'.repeat(64)} ${Array.from({ length: 300 }, (_, i) => `/${i}`).join(' ')}`,
	'malformed heads': `channel: /room\nfrom: server\n\n${'x'.repeat(1_000)}`,
	'malformed paths': `publish: /%zz${'x'.repeat(10_000)}\n\nx`,
	'messages to a channel of others': 'publish: /bystander\n\nx',
};

/** Asserts that another connection of the server gets its messages and its answers. */
async function isServed({ port }: TestServer, bystander: GroupClient, text: string): Promise<void> {
	await post(port, '/bystander', text);
	assert.deepEqual(await bystander.nextMessage(), ['/bystander', 'post', text]);
}

/** How many connections have been ended for what they sent, or did not read. */
async function endedBy(server: TestServer): Promise<number> {
	const counts = ['slow', 'flood'].map((reason) => metric(server, `pathcast_disconnects_total{reason="${reason}"}`));
	return (await Promise.all(counts)).reduce((sum, count) => sum + count);
}

for (const [what, frame] of Object.entries(frames)) {
	test(`a client that sends ${what} without end and reads nothing is ended, and others are served`, async (t) => {
		const server = await startTestServer(t, '--groups', '--max-backlog', '1MiB');
		const bystander = await openGroups(t, server, '/bystander');
		const client = await openGroups(t, server, '/room');
		client.ws.pause();
		// Some megabytes of answers fill the buffers of the system first.
		const atOnce = Math.ceil(2_000_000 / Math.max(frame.length, 1_000));
		while ((await endedBy(server)) === 0) {
			for (let i = 0; i < atOnce; i++) client.send(frame);
			await isServed(server, bystander, what);
		}
		client.ws.terminate();
		await metricBecomes(server, 'pathcast_subscribers', 1);
		assert.deepEqual(await bystander.change('add: /other'), changed('/bystander /other', '/other'));
	});
}

test('a client that sends tiny frames faster than they are handled is closed with 1008, and others are served', async (t) => {
	const server = await startTestServer(t, '--groups');
	const bystander = await openGroups(t, server, '/bystander');
	for (const [nth, frame] of ['add:', 'x', 'publish: /room\n\nx'].entries()) {
		const client = await openGroups(t, server, '/room');
		while ((await endedBy(server)) === nth) {
			for (let i = 0; i < 20_000; i++) client.send(frame);
			await isServed(server, bystander, frame);
		}
		await client.framesUntilClosed(1008);
	}
	await metricBecomes(server, 'pathcast_subscribers', 1);
	await metricBecomes(server, 'pathcast_channels', 1);
});

/** The bytes of the heap after a garbage collection. */
function heldBytes(): number {
	setFlagsFromString('--expose-gc');
	runInNewContext('gc')();
	return process.memoryUsage().heapUsed;
}

test('the head of a change is not kept for as long as its channels are there', async (t) => {
	const server = await startTestServer(t, '--groups');
	const clients = await Promise.all(Array.from({ length: 40 }, (_, nth) => openGroups(t, server, `/room/${nth}`)));
	const before = heldBytes();
	const heads = Array.from({ length: 10 }, (_, i) => `add: /a/name/of/some/length/${i}${' '.repeat(60_000)}`);
	for (const [nth, client] of clients.entries()) {
		for (const head of heads) client.send(head.replace('name', `name/${nth}`));
		for (const _ of heads) assert.equal((await client.nextAnswer()).left, '');
	}
	assert.equal(await metric(server, 'pathcast_channels'), clients.length * (1 + heads.length));
	const bytes = heldBytes() - before;
	assert.ok(bytes < 5_000_000, `${bytes} bytes are held after ${clients.length * heads.length} heads of 60 kB`);
});

test('over TLS, a client that sends two megabytes at once, with changes and refused frames among its messages, loses none of them', async (t) => {
	const server = await startTestServer(t, '--groups', '--max-backlog', '64MiB', '--write-timeout', '0', ...tlsFlags);
	const client = await openGroups(t, { ws: (path: string) => server.ws(path).replace(/^ws/, 'wss') }, '/room', {
		...tls,
		rejectUnauthorized: true,
	});
	const messages = Array.from({ length: 120 }, (_, i) => `${i} `.padEnd(17_000, 'x'));
	for (const [i, message] of messages.entries()) {
		client.publish('/room', message);
		if (i % 20 === 10) client.send(i % 40 === 10 ? 'add: /other' : 'remove: /other');
		if (i % 20 === 15) client.publish('/nowhere', 'x');
	}
	const heard: string[] = [];
	const answers: string[] = [];
	while (heard.length < messages.length || answers.length < 12) {
		const { head, body } = await client.next();
		if (head.has('channel')) heard.push(body);
		else answers.push(head.get('refused') ?? head.get('joined') ?? '');
	}
	assert.deepEqual(heard, messages);
	assert.equal(answers.filter((answer) => answer === '/nowhere').length, 6);
});
