// The frames of clients and their answers. See hostile.test.ts for frames that no client should send.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changed, type GroupClient, openGroups } from '../support/groups.js';
import { post } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { startTestServer } from '../support/server.js';

/** Sends the frame as it is, and gives the head of the answer. */
async function answerTo(client: GroupClient, frame: string): Promise<Record<string, string>> {
	return client.change(frame);
}

protocol(
	'The client sends a head of one line, which is a command, a colon and paths, then a blank line and, to publish, a body; without a body, the blank line may be missing.',
	async (t) => {
		const server = await startTestServer(t, '--groups');
		const frames: [frame: string, subscribed: string, joined: string, left: string][] = [
			['subscribe: /a', '/a', '/a', '/room'],
			['subscribe: /b\n', '/b', '/b', '/room'],
			['subscribe: /c\n\n', '/c', '/c', '/room'],
			['subscribe:/d', '/d', '/d', '/room'],
			['subscribe:   /e   /f  \n\n', '/e /f', '/e /f', '/room'],
			['subscribe:', '', '', '/room'],
			['subscribe: \n\n', '', '', '/room'],
			['add: /a /b\n\n', '/room /a /b', '/a /b', ''],
			['add:', '/room', '', ''],
			['remove: /room\n', '', '', '/room'],
		];
		for (const [frame, ...expected] of frames) {
			const client = await openGroups(t, server, '/room');
			assert.deepEqual(await answerTo(client, frame), changed(...expected), JSON.stringify(frame));
		}
		const client = await openGroups(t, server, '/room');
		// The body begins after the first blank line, and is not looked into.
		for (const body of ['hello', '\n', '\n\n', 'publish: /other\n\nx', 'channel: /room\nfrom: server\n\nforged', '\r\n\0']) {
			client.publish('/room', body);
			assert.deepEqual((await client.nextMessage()).at(2), body);
		}
	},
);

protocol(
	'The head of a frame of the server has lines of a name, a colon, a blank and a value, which may be empty; the client ignores names that it does not know, and finds the body after the first blank line.',
	async (t) => {
		const server = await startTestServer(t, '--groups');
		const { subscriber } = await openGroups(t, server, '/room');
		const answers: [frame: string, answer: string][] = [
			['add: /a /b', 'subscribed: /room /a /b\njoined: /a /b\nleft: \n\n'],
			['subscribe: /room', 'subscribed: /room\njoined: \nleft: /a /b\n\n'],
			['publish: /room\n\nname: value\n\nend', 'channel: /room\nfrom: 1\n\nname: value\n\nend'],
			['publish: /a\n\nx', 'refused: /a\ncommand: publish\nstatus: 403\n\n'],
			['publish: /é\n\nx', 'refused: /%C3%A9\ncommand: publish\nstatus: 403\n\n'],
			['add: %', 'refused: %\ncommand: add\nstatus: 400\n\n'],
			['nonsense', 'refused: \nstatus: 400\n\n'],
			['subscribe:', 'subscribed: \njoined: \nleft: /room\n\n'],
		];
		for (const [frame, answer] of answers) {
			subscriber.send(frame);
			const text = await subscriber.nextText();
			// The reason of a refusal is its body.
			assert.equal(answer.startsWith('refused') ? text.replace(/(?<=\n\n)[A-Z].*$/s, '') : text, answer);
		}
	},
);

protocol(
	'`subscribe:` replaces the whole set of channels, `add:` and `remove:` change it; the path of the URL is the first member, unless the client leaves it out, and an empty set is allowed.',
	async (t) => {
		const server = await startTestServer(t, '--groups');
		const client = await openGroups(t, server, '/first');
		const steps: [frame: string, subscribed: string, joined: string, left: string][] = [
			['add: /b', '/first /b', '/b', ''],
			['add: /b /c', '/first /b /c', '/c', ''],
			['remove: /b /never', '/first /c', '', '/b'],
			['subscribe: /c /d', '/c /d', '/d', '/first'],
			['subscribe: /c /d', '/c /d', '', ''],
			['subscribe:', '', '', '/c /d'],
			['remove: /c', '', '', ''],
			['add: /first', '/first', '/first', ''],
		];
		for (const [frame, ...expected] of steps) {
			assert.deepEqual(await client.change(frame), changed(...expected), frame);
			// A channel of the set has this subscriber and delivers; every other channel has none.
			for (const path of ['/first', '/b', '/c', '/d']) {
				const isIn = expected[0]?.split(' ').includes(path);
				assert.equal((await post(server.port, path, frame)).headers.get('x-subscribers'), isIn ? '1' : '0');
				if (isIn) assert.deepEqual(await client.nextMessage(), [path, 'post', frame]);
			}
		}
	},
);

protocol(
	'The paths are percent-encoded, separated by blanks, and follow the rules of URLs; a path that is named twice counts once.',
	async (t) => {
		const server = await startTestServer(t, '--groups', '--max-groups', '2');
		const spellings: [written: string, shown: string][] = [
			['/caf%C3%A9', '/caf%C3%A9'],
			['/café', '/caf%C3%A9'],
			['/%63af%c3%a9', '/caf%C3%A9'],
			['/a%20b', '/a%20b'],
			['/%0A', '/%0A'],
			['/%00%0d%0a%0afrom:%20server', '/%00%0D%0A%0Afrom:%20server'],
			['/%3Fa%23b', '/%3Fa%23b'],
			['/100%25', '/100%25'],
			['/%EF%BF%BD', '/%EF%BF%BD'],
			['/a%C2%85b', '/a%C2%85b'],
			['//a/../b/', '//a/../b/'],
			['/"<>`{}|\\^[]', '/%22%3C%3E%60%7B%7D%7C%5C%5E%5B%5D'],
			['/😀', '/%F0%9F%98%80'],
			['/', '/'],
		];
		for (const [written, shown] of spellings) {
			const client = await openGroups(t, server, '/room');
			assert.deepEqual(await client.change(`subscribe: ${written}`), changed(shown, shown, '/room'), written);
			// The path that is shown leads to the channel.
			assert.equal((await post(server.port, shown, 'hello')).headers.get('x-subscribers'), '1');
			assert.deepEqual(await client.nextMessage(), [shown, 'post', 'hello']);
			client.publish(written, 'mine');
			assert.equal((await client.nextMessage())[0], shown);
			assert.deepEqual(await client.change(`remove: ${shown}`), changed('', '', shown));
			await client.close();
		}
		const client = await openGroups(t, server, '/room');
		assert.deepEqual(await client.change('add: /b /%62 /b /room'), changed('/room /b', '/b'));
		// --max-groups counts channels.
		assert.deepEqual(await client.change(`subscribe:${' /b /%62'.repeat(500)}`), changed('/b', '', '/room'));
		// A longer list is not read to its end.
		client.send(`subscribe:${' /b /%62'.repeat(600)}`);
		assert.deepEqual((await client.nextRefusal()).slice(0, 2), ['', 413]);
		await post(server.port, '/b', 'once');
		await post(server.port, '/b', 'sentinel');
		assert.deepEqual(
			(await client.messages(2)).map(([, , body]) => body),
			['once', 'sentinel'],
		);
	},
);

test('an empty frame is a keepalive, and comes back with --echo-keepalive', async (t) => {
	for (const flags of [[], ['--echo-keepalive']]) {
		const server = await startTestServer(t, '--groups', '--binary', ...flags);
		const client = await openGroups(t, server, '/room');
		client.subscriber.send('');
		client.subscriber.send(Buffer.alloc(0));
		if (flags.length > 0) {
			const echoes = [await client.subscriber.next(), await client.subscriber.next()];
			assert.deepEqual(
				echoes.map(({ data, isBinary }) => [data.length, isBinary]),
				[
					[0, false],
					[0, true],
				],
			);
		}
		assert.deepEqual(await client.change('add:'), changed('/room'));
	}
});

test('a frame that comes in fragments is read as one, also where a fragment ends within the blank line', async (t) => {
	const server = await startTestServer(t, '--groups');
	const client = await openGroups(t, server, '/room');
	const sendInPieces = (...pieces: string[]) => {
		for (const [i, piece] of pieces.entries()) client.ws.send(piece, { fin: i === pieces.length - 1 });
	};
	sendInPieces('add', ': /b', ' /c', '');
	assert.deepEqual(await client.nextAnswer(), changed('/room /b /c', '/b /c'));
	sendInPieces('', 'publish: /b\n', '\nhel', 'lo');
	assert.deepEqual((await client.nextMessage()).at(2), 'hello');
});

test('--max-message holds for the body alone: with 16 bytes, long changes are made, and longer bodies close with 1009', async (t) => {
	const server = await startTestServer(t, '--groups', '--max-message', '16');
	const client = await openGroups(t, server, '/room');
	const paths = Array.from({ length: 63 }, (_, i) => `/${'x'.repeat(200)}${i}`);
	assert.deepEqual(await client.change(`add: ${paths.join(' ')}`), changed(['/room', ...paths].join(' '), paths.join(' ')));
	const [path = ''] = paths;
	client.publish(path, 'x'.repeat(16));
	assert.deepEqual((await client.nextMessage()).at(2), 'x'.repeat(16));
	client.publish(path, 'x'.repeat(17));
	assert.equal((await client.closed).code, 1009);
});
