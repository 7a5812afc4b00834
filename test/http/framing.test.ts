import assert from 'node:assert/strict';
import { test } from 'node:test';
import { post, RawConnection } from '../support/http.js';
import { ambiguousFraming, type OtherInput, type Outcome, otherInputs, thisEngine } from '../support/malformed.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const smuggled = 'POST /canary HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nsmuggled';

protocol(
	'Ambiguous framing (two Content-Length headers, an empty or malformed one, a Transfer-Encoding other than `chunked`, two Host headers, a malformed one) closes the connection, with 400 where the engine can still answer; nothing after it on that connection runs as a request.',
	async (t) => {
		const server = await startTestServer(t);
		const canary = await subscribe(t, server.ws('/canary'));
		const victim = await subscribe(t, server.ws('/room'));
		for (const method of ['POST', 'PUT', 'GET', 'HEAD', 'OPTIONS', 'DELETE']) {
			for (const { input, host, headers, body, [thisEngine]: expected } of ambiguousFraming) {
				const what = `${method}, ${input}`;
				const head = `${method} /room HTTP/1.1\r\nHost: ${host}\r\n${headers}\r\n`;

				const alone = new RawConnection(server.port);
				await alone.write(head + body);
				const answer = await alone.closed;
				if (method === 'HEAD' && expected === '400') assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*\r\n\r\n$/, what);
				else assert.equal(outcome(answer), expected, what);

				// Followed by a request in the same read; in a later one; and with the body in a later one.
				for (const pieces of [
					[head + body + smuggled],
					[head + body, smuggled],
					[head, body + smuggled],
					[head, body, smuggled],
				]) {
					const connection = new RawConnection(server.port);
					for (const piece of pieces) {
						await connection.write(piece);
						await roundTrip(server);
					}
					assert.doesNotMatch(await connection.closed, /^HTTP\/1\.1 2/m, what);
				}
			}
		}
		canary.send('sentinel');
		assert.equal(await canary.nextText(), 'sentinel', 'nothing was smuggled to another channel');
		victim.send('sentinel');
		assert.equal(await victim.nextText(), 'sentinel', 'nothing ambiguous was published');
		assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), 0);
	},
);

/** Answered when the server has read whatever was written to it before. */
async function roundTrip(server: TestServer): Promise<void> {
	await post(server.port, '/round-trip', '');
}

/** What an answer over one connection tells. */
function outcome(answer: string): Outcome {
	if (answer === '') return 'closed';
	const status = /^HTTP\/1\.1 (?!100)(\d+)/m.exec(answer)?.[1] ?? '';
	if (status.startsWith('2')) return 'served';
	const isOurs = /\r\n\r\n[A-Z][^\n<]*\n$/.test(answer);
	return (isOurs ? status : `${status} of the engine`) as Outcome;
}

/** Sends the frame when the connection has become a websocket, and waits for the first frame that comes back, or for the end. */
async function outcomeOf(server: TestServer, { pieces, [thisEngine]: expected }: OtherInput): Promise<Outcome> {
	const connection = new RawConnection(server.port);
	for (const [i, piece] of pieces.entries()) {
		if (i > 0) await connection.arrived('\r\n\r\n');
		await connection.write(piece);
	}
	if (expected === 'served') {
		await connection.arrived('\r\n\r\n\x81');
		connection.end();
	}
	const answer = await connection.closed;
	return answer.endsWith('\r\n\r\n') ? 'closed' : 'served';
}

// The other inputs of that table are rows of docs/torture.md.
test('each malformed frame has the outcome that docs/limits.md tells, and publishes nothing else', async (t) => {
	const server = await startTestServer(t);
	const canary = await subscribe(t, server.ws('/malformed'));
	const frames = otherInputs.filter(({ input }) => input.startsWith('websocket: '));
	const outcomes = await Promise.all(frames.map(async (row) => [row.input, await outcomeOf(server, row)]));
	assert.deepEqual(
		outcomes,
		frames.map((row) => [row.input, row[thisEngine]]),
	);
	const published = frames.flatMap((row) => row.publishes ?? []);
	canary.send('sentinel');
	assert.deepEqual(await canary.texts(published.length + 1), [...published, 'sentinel']);
});

test('clients that go away in the middle of malformed input leave the server well', async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	for (const { pieces } of otherInputs) {
		const connection = new RawConnection(server.port);
		await connection.write(pieces[0] ?? '');
		connection.end();
		await connection.closed;
	}
	await post(server.port, '/room', 'sentinel');
	assert.equal(await subscriber.nextText(), 'sentinel');
});

test('requests that are pipelined over one connection are each served, in their order', async (t) => {
	const server = await startTestServer(t);
	const subscriber = await subscribe(t, server.ws('/room'));
	const connection = new RawConnection(server.port);
	const texts = Array.from({ length: 100 }, (_, i) => `pipelined ${i}`);
	await connection.write(
		texts.map((text) => `POST /room HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`).join(''),
	);
	for (const _ of texts) assert.equal((await connection.answer()).headers.get('x-subscribers'), '1');
	connection.end();
	assert.deepEqual(await subscriber.texts(100), texts);
});
