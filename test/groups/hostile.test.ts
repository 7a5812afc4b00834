// Frames that no client should send: each has its answer, changes nothing, and ends nothing but what the protocol ends.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { changed, type GroupClient, openGroups } from '../support/groups.js';
import { post } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, metricBecomes, startTestServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const oneLine = /^The head of a frame is one line that ends with LF, without CR or another control character\.$/;
const unknown = /^A frame begins with "subscribe:", "add:", "remove:" or "publish:", and paths\.$/;
const noPath = /^This is not a path: begin with a slash, and percent-encode blanks, \? and #\.$/;
const oneTarget = /^A message is published to one path: "publish: \/path"\.$/;
const noBody = /^A frame "(subscribe|add|remove):" takes no body\.$/;
const tooLong = /^The path is longer than 256 characters, its leading slash included \(--max-path\)\.$/;
const notUtf8 = /^The path is not valid UTF-8 after percent-decoding: encode it as UTF-8\.$/;
const badPercent = /^The path holds a % without two hexadecimal digits after it: write %25 for a literal %\.$/;
const rawBytes = /^The path holds raw bytes that are not UTF-8: percent-encode it as UTF-8\.$/;
const tooMany = /^A connection may have 64 channels at most \(--max-groups\)\.$/;
const headTooLong = /^The head of a frame takes at most 65536 bytes\.$/;

type Row = readonly [frame: string | Buffer, reason: RegExp];

/** Frames that are answered by `refused:` without a path. */
const malformedFrames: readonly Row[] = [
	['nonsense', unknown],
	[' ', unknown],
	['\uFEFFsubscribe: /b', unknown],
	['\n\n', unknown],
	['\n\nsubscribe: /b', unknown],
	['\n', unknown],
	['\nsubscribe: /b', oneLine],
	['subscribe', unknown],
	['subscribe /b', unknown],
	['Subscribe: /b', unknown],
	[' subscribe: /b', unknown],
	['subscribe : /b', unknown],
	['unsubscribe: /room', unknown],
	['{"subscribe":["/b"]}', unknown],
	['channel: /room\nfrom: server\n\nforged', oneLine],
	['channel: /room\n\nforged', unknown],
	['from: server\n\nforged', unknown],
	['session: alice\n\nforged', unknown],
	['subscribed: /b\njoined: /b\nleft:\n\n', oneLine],
	['publish: /room\nfrom: server\n\nforged', oneLine],
	['publish: /room\nchannel: /other\n\nforged', oneLine],
	['subscribe: /b\nsubscribe: /c', oneLine],
	['add: /b\npublish: /room\n\nx', oneLine],
	['subscribe: /b\r', oneLine],
	['subscribe: /b\r\n\r\n', oneLine],
	['publish: /room\r\n\r\nx', oneLine],
	['publish: /room\n\r\nx', oneLine],
	['add: /b\0', oneLine],
	['add: /b\t/c', oneLine],
	['add: /b\u001b[2J', oneLine],
	['add: /b\u007f', oneLine],
	['add: /b\n\nbody', noBody],
	['subscribe: /b\n\n\n', noBody],
	['remove: /room\n\nsubscribe: /b', noBody],
	['publish: /room', /^A blank line must stand between "publish: \/path" and the message\.$/],
	['publish: /room\n', /^A blank line must stand/],
	['publish:', /^A blank line must stand/],
	['publish:\n\nx', oneTarget],
	['publish: /room /other\n\nx', oneTarget],
	['publish: /room /room\n\nx', oneTarget],
	[`subscribe: ${Array.from({ length: 10_000 }, (_, i) => `/${i}`).join(' ')}`, tooMany],
	[`add: ${Array.from({ length: 64 }, (_, i) => `/${i}`).join(' ')}`, tooMany],
	[`add: /${'x'.repeat(65_536)}`, headTooLong],
	[`publish: /${'x'.repeat(65_536)}\n\nx`, headTooLong],
	['x'.repeat(65_537), headTooLong],
	['x'.repeat(65_536), unknown],
	['add: /b\u0085', oneLine],
	['add: /b\u2028c', oneLine],
];

/** Paths that a change is refused for, with 400 and with the path as the client wrote it. */
const malformedPaths: readonly (readonly [path: string, reason: RegExp])[] = [
	['b', noPath],
	['room', noPath],
	['http://x/room', noPath],
	['*', noPath],
	['%2Froom', noPath],
	['/b?query', noPath],
	['/b#fragment', noPath],
	['/b\u00a0c', noPath],
	['/%', badPercent],
	['/%2', badPercent],
	['/%zz', badPercent],
	['/%u0041', badPercent],
	['/%ff', notUtf8],
	['/%C3', notUtf8],
	['/%C0%AF', notUtf8],
	['/%ED%A0%80', notUtf8],
	['/\uFFFD', rawBytes],
	[`/${'x'.repeat(256)}`, tooLong],
	[`/${'%F0%9F%98%80'.repeat(256)}`, tooLong],
];

/** A client of /room and /kept, and other clients that must get nothing of it. */
async function openHostile(t: TestContext, server: TestServer) {
	const bystander = await openGroups(t, server, '/room');
	const plain = await subscribe(t, server.ws('/b'));
	const open = async () => {
		const client = await openGroups(t, server, '/room');
		assert.deepEqual(await client.change('add: /kept'), changed('/room /kept', '/kept'));
		return client;
	};
	/** Asserts that no other client got a message, and that the client has its channels and goes on. */
	const nothingHappened = async (client: GroupClient, frame: string) => {
		client.publish('/kept', 'still here');
		assert.deepEqual((await client.nextMessage()).at(2), 'still here', frame);
		await post(server.port, '/room', 'end');
		await post(server.port, '/b', 'end');
		assert.deepEqual(await bystander.nextMessage(), ['/room', 'post', 'end'], frame);
		assert.equal(await plain.nextText(), 'end', frame);
		assert.deepEqual(await client.nextMessage(), ['/room', 'post', 'end'], frame);
		assert.deepEqual(await client.change('add:'), changed('/room /kept'), frame);
		await client.close();
	};
	return { open, nothingHappened };
}

protocol(
	'A malformed frame is answered by an empty `refused:`, without `command:`, changes nothing, and publishes nothing; the connection goes on.',
	async (t) => {
		const server = await startTestServer(t, '--groups');
		const { open, nothingHappened } = await openHostile(t, server);
		for (const [frame, reason] of malformedFrames) {
			const shown = JSON.stringify(frame.toString().slice(0, 60));
			const client = await open();
			client.subscriber.send(frame);
			const [path, status, told] = await client.nextRefusal();
			assert.deepEqual([path, status], ['', reason === tooMany ? 413 : 400], shown);
			assert.match(told, reason, shown);
			await nothingHappened(client, shown);
		}
		assert.equal(await metric(server, 'pathcast_refusals_total{reason="groups"}'), malformedFrames.length);
	},
);

protocol(
	'A change that names a path which is malformed or refused changes nothing; the answer is `refused:` with that path, `command:`, `status:` as HTTP has it, and the reason as its body.',
	async (t) => {
		const server = await startTestServer(t, '--groups', '--max-channels', '3');
		const { open, nothingHappened } = await openHostile(t, server);
		for (const [malformed, reason] of malformedPaths) {
			for (const frame of [
				`add: /b ${malformed} /c`,
				`subscribe: ${malformed}`,
				`remove: /room ${malformed}`,
				`publish: ${malformed}\n\nx`,
			]) {
				const client = await open();
				client.send(frame);
				const [path, status, told] = await client.nextRefusal();
				assert.deepEqual([path, status], [malformed, 400], frame);
				assert.match(told, reason, frame);
				await nothingHappened(client, frame);
			}
		}
		// The server has its three channels: /b has a subscriber, and there is no room for /d.
		const client = await open();
		client.send('subscribe: /b /d /room /kept');
		const [path, status, told] = await client.nextRefusal();
		assert.deepEqual([path, status], ['/d', 503]);
		assert.match(told, /--max-channels/);
		await nothingHappened(client, 'no room');
	},
);

test('a binary frame closes with 1003 without --binary, also one that would change nothing', async (t) => {
	const server = await startTestServer(t, '--groups');
	for (const frame of ['add: /b', 'publish: /room\n\nx', 'nonsense']) {
		const client = await openGroups(t, server, '/room');
		client.subscriber.send(Buffer.from(frame));
		assert.equal((await client.closed).code, 1003);
	}
	assert.equal(await metric(server, 'pathcast_channels'), 0);
});

test('with --binary, a change may come in a binary frame; one that is not UTF-8 is refused, and a message of any bytes is published', async (t) => {
	const server = await startTestServer(t, '--groups', '--binary');
	const { open, nothingHappened } = await openHostile(t, server);
	const client = await open();
	client.subscriber.send(Buffer.from('add: /é'));
	assert.deepEqual(await client.nextAnswer(), changed('/room /kept /%C3%A9', '/%C3%A9'));
	client.publish('/é', Buffer.from([0xff, 0x0a, 0x0a, 0x00]));
	const { body, isBinary } = await client.next();
	assert.deepEqual([body, isBinary], ['\u00ff\n\n\0', true]);
	for (const head of ['add: /\xff', 'subscribe: /b\xc3', 'publish: /room\xff\n\nx']) {
		const other = await open();
		other.subscriber.send(Buffer.from(head, 'latin1'));
		const [path, status, reason] = await other.nextRefusal();
		assert.deepEqual([status, reason.match(rawBytes)?.index], [400, 0], head);
		assert.match(path, /\uFFFD$/);
		await nothingHappened(other, head);
	}
	const other = await open();
	other.subscriber.send(Buffer.from('\xff: /b', 'latin1'));
	assert.match((await other.nextRefusal())[2], unknown);
	await nothingHappened(other, 'no command');
});

test('a message over --max-message closes with 1009, and a frame over the limit of the engine is cut; neither is published', async (t) => {
	const server = await startTestServer(t, '--groups', '--max-message', '1000');
	const reader = await openGroups(t, server, '/room');
	const client = await openGroups(t, server, '/room');
	client.publish('/room', 'x'.repeat(1_000));
	assert.equal((await reader.nextMessage())[2].length, 1_000);
	client.publish('/room', 'x'.repeat(1_001));
	assert.equal((await client.closed).code, 1009);
	const cut = await openGroups(t, server, '/room');
	cut.publish('/room', 'x'.repeat(2 * 1_000 + 65_536));
	assert.equal((await cut.closed).code, 1006);
	// Refused before its length is looked at: it is published nowhere.
	const outside = await openGroups(t, server, '/room');
	outside.publish('/other', 'x'.repeat(1_001));
	assert.deepEqual((await outside.nextRefusal()).slice(0, 2), ['/other', 403]);
	await post(server.port, '/room', 'end');
	assert.deepEqual((await reader.nextMessage())[2], 'end');
});

test('an empty body is published nowhere, and refused on a channel that is not in the set', async (t) => {
	const server = await startTestServer(t, '--groups');
	const { open, nothingHappened } = await openHostile(t, server);
	const client = await open();
	client.publish('/room', '');
	client.publish('/b', '');
	assert.deepEqual((await client.nextRefusal()).slice(0, 2), ['/b', 403]);
	await nothingHappened(client, 'empty');
	await metricBecomes(server, 'pathcast_channels', 2);
});
