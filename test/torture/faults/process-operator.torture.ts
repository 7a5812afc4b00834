// The operator's listener gets hostile input while messages flow.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { RawConnection, request } from '../../support/http.js';
import { seededRandom } from '../../support/random.js';
import { answering, startService } from '../../support/service.js';
import { subscribe } from '../../support/subscriber.js';
import { inForm } from '../support/torture.js';
import { onLinux, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

const head = (method: string, path: string, ...lines: string[]) =>
	`${[`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'X-Session: alice', ...lines].join('\r\n')}\r\n\r\n`;
const text = 'x'.repeat(200_000);

/** Requests by their bytes, each of which must be refused with one of these statuses, or be cut off. */
const hostile: Readonly<Record<string, readonly [bytes: string | Buffer, statuses: readonly number[]]>> = {
	'a body over --max-message': [`${head('POST', '/send', `Content-Length: ${text.length}`)}${text}`, [413]],
	'a chunked one': [
		`${head('POST', '/close', 'Transfer-Encoding: chunked')}${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
		[413],
	],
	'an announced body of an exabyte': [head('POST', '/send', 'Content-Length: 1000000000000000000'), [413, 400]],
	'a body that is not UTF-8': [
		Buffer.concat([Buffer.from(head('POST', '/send', 'Content-Length: 2')), Buffer.from([0x61, 0xff])]),
		[400],
	],
	'a compressed body': [`${head('POST', '/send', 'Content-Encoding: gzip', 'Content-Length: 1')}x`, [415]],
	'two lengths': [`${head('POST', '/close', 'Content-Length: 1', 'Content-Length: 2')}xx`, [400]],
	'a chunk without a size': [`${head('POST', '/send', 'Transfer-Encoding: chunked')}zz\r\nx`, [400]],
	'a head over 64 KiB': [head('POST', '/send', `X-Filler: ${text}`), [431]],
	'a session that is no name': [head('POST', '/close', 'X-Session: /a b\u0007', 'Content-Length: 0'), [400]],
	'a channel that is no path': [`${head('POST', '/send', 'X-Channel: room', 'Content-Length: 1')}x`, [400]],
	'no HTTP': ['\x16\x03\x01\xff\x00\r\n\r\n', [400]],
	'a page of another site': [head('POST', '/close', 'Origin: https://evil.example', 'Content-Length: 0'), [403]],
};

describe("the operator's listener", { concurrency: 3 }, () => {
	fault(
		"Huge and broken bodies, heads and cursors for `/send`, `/close` and `/channels` of the operator's listener, also cut short, while messages flow",
		'Each is refused with one status, publishes and closes nothing, and leaves the process and its subscribers alone.',
		async (t) => {
			const random = seededRandom(t);
			const service = await startService(t, (question) =>
				answering(204, question.field('X-Original-URI') === '/session' ? [['X-Session', 'alice']] : [])(question),
			);
			const server = await startBuilt(t, ['--auth', service.url]);
			const bystanders = await startBystanders(t, server);
			const alice = await subscribe(t, server.ws('/session'));
			const openFiles = server.openFiles();
			const counts = { refused: 0, cursors: 0, cut: 0 };
			const rounds = inForm(8, 300);
			for (let round = 0; round < rounds; round++) {
				for (const [what, [bytes, statuses]] of Object.entries(hostile)) {
					const whole = new RawConnection(server.operatorPort);
					void whole.write(bytes);
					const { status } = await whole.answer();
					assert.ok(statuses.includes(status), `${what}: ${status}`);
					whole.end();
					counts.refused++;
					// The same with its end missing: without a last byte, none of them is a whole request.
					const part = new RawConnection(server.operatorPort);
					await part.write(Buffer.from(bytes as string, 'latin1').subarray(0, 1 + random.below(bytes.length - 1)));
					part.end();
					counts.cut++;
				}
				const garbage = Array.from({ length: 1 + random.below(40) }, () => String.fromCharCode(33 + random.below(94))).join('');
				const { status } = await request(server.operatorPort, { path: `/channels?cursor=${garbage.replace(/[#&]/g, '%')}` });
				assert.equal(status, 400, garbage);
				counts.cursors++;
			}
			// The whole of a message after all that was refused: it is the first.
			const sent = await request(server.operatorPort, {
				method: 'POST',
				path: '/send',
				headers: { 'X-Session': 'alice' },
				body: 'first',
			});
			assert.deepEqual([sent.status, await alice.nextText()], [200, 'first']);
			await server.descriptorsComeBackTo(openFiles);
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			return `${counts.refused} requests and ${counts.cursors} cursors refused, ${counts.cut} cut short; nothing reached the session; ${innocent}`;
		},
		onLinux,
	);
});
