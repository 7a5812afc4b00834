// The clock on the wall jumps while the server runs. A module that is loaded first moves Date; the monotonic clock stays true, as it does when
// an operator or NTP sets the clock of a machine. Below libfaketime, the older engine does not load.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, type TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { answerTo, askedDoors } from '../../support/doors.js';
import { openStream } from '../../support/event-stream.js';
import { post, request } from '../../support/http.js';
import { startReceiver } from '../../support/receiver.js';
import { answering, hold, startService } from '../../support/service.js';
import { subscribe } from '../../support/subscriber.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { type BuiltServer, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

const movedDate = (file: string) => `
import { readFileSync } from 'node:fs';
const RealDate = Date;
const now = () => RealDate.now() + Number(readFileSync(${JSON.stringify(file)}, 'utf8'));
globalThis.Date = class extends RealDate {
	constructor(...given) {
		super(...(given.length === 0 ? [now()] : given));
	}
	static now() {
		return now();
	}
};
`;

const dayMs = 86_400_000;
const jumps: Readonly<Record<string, number>> = {
	'a day forward': dayMs,
	'a year forward': 365 * dayMs,
	'a day back': -dayMs,
	'a year back': -365 * dayMs,
};

/** A built server, and what sets its clock. Its log has every message, so that a message tells the time there. */
async function startWithClock(t: TestContext, ...flags: string[]) {
	const folder = temporaryFolder(t);
	const [file, module] = [`${folder}/offset`, `${folder}/moved-date.mjs`];
	writeFileSync(file, '0');
	writeFileSync(module, movedDate(file));
	const server = await startBuilt(t, ['--log-level', 'debug', ...flags], ['--import', module]);
	const jump = async (offsetMs: number) => {
		writeFileSync(file, String(offsetMs));
		await becomes(async () => {
			await post(server.port, '/tick', 'tick');
			const last = Date.parse(String(server.log().at(-1)?.time));
			return Math.abs(last - Date.now() - offsetMs) < dayMs / 24;
		});
	};
	return { server, jump };
}

async function readyAndCounting(server: BuiltServer): Promise<void> {
	assert.equal((await request(server.operatorPort, { path: '/readyz' })).status, 200);
	const { uptime } = JSON.parse((await request(server.operatorPort, { path: '/stats' })).body);
	assert.ok(uptime >= 0 && uptime < 3_600, `${uptime} s`);
	const before = await server.metric('pathcast_messages_received_total{source="post"}');
	await post(server.port, '/tick', 'tick');
	assert.equal(await server.metric('pathcast_messages_received_total{source="post"}'), before + 1);
}

describe('the clock', { concurrency: 4 }, () => {
	fault(
		'The clock jumps forward and back by a day and by a year (`Date` is replaced in the process)',
		'Nothing is closed: `--max-age`, `X-Max-Age`, sessions and idle time-outs go by the time that has passed. Log and metrics go on.',
		async (t) => {
			const maxAge = ['X-Max-Age', '3600'] as const;
			const service = await startService(t, (question) => {
				const isRoom = question.field('X-Original-URI') === '/room';
				question.answer(204, isRoom ? [maxAge, ['X-Session', 'alice']] : [maxAge]);
			});
			const flags = ['--auth', service.url, '--max-age', '1h', '--ping-timeout', '8s', '--write-timeout', '2s'];
			const { server, jump } = await startWithClock(t, ...flags);
			const subscriber = await subscribe(t, server.ws('/room'));
			const stream = await openStream(t, server, '/room');
			const bystanders = await startBystanders(t, server);
			const open = await server.metric('pathcast_connections');
			for (const [what, to] of Object.entries(jumps)) {
				await jump(to);
				await readyAndCounting(server);
				const sent = await request(server.operatorPort, {
					method: 'POST',
					path: '/send',
					headers: { 'X-Session': 'alice' },
					body: what,
				});
				assert.equal(sent.status, 200);
				assert.deepEqual([await subscriber.nextText(), await stream.texts(1)], [what, [what]]);
				await bystanders.goOn(50);
			}
			assert.equal(await server.metric('pathcast_connections'), open);
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			return `${Object.keys(jumps).length} jumps, ${open} connections open before and after; ${innocent}`;
		},
	);

	fault(
		'The clock jumps back by a year while time-outs run (`Date` is replaced in the process)',
		'`X-Max-Age`, `--auth-timeout`, the retries of webhooks and `--drain` run out all the same, and the process ends with 0.',
		async (t) => {
			const service = await startService(t, answering(204, [['X-Max-Age', '2']]));
			const receiver = await startReceiver(t);
			receiver.answers.push(500);
			const flags = ['--auth', service.url, '--auth-timeout', '2s', '--webhook', receiver.url, '--drain', '1s'];
			const { server, jump } = await startWithClock(t, ...flags);
			const subscriber = await subscribe(t, server.ws('/room'));
			service.script = hold;
			const held = Promise.all(askedDoors.map((door) => answerTo(server.port, door)));
			await service.take(4);
			service.script = answering(204);
			await jump(-365 * dayMs);
			assert.deepEqual(
				(await held).map(({ status }) => status),
				[502, 502, 502],
			);
			assert.deepEqual(await subscriber.closed, { code: 1008, reason: 'authorisation expired' });
			const events = await receiver.nextUntil('disconnect');
			const duration = events.at(-1)?.duration;
			assert.ok(Number(duration) >= 1.9 && Number(duration) < 60, `${duration} s`);
			const last = await subscribe(t, server.ws('/last'));
			await jump(-dayMs);
			await server.stop();
			assert.equal((await last.closed).code, 1012);
			server.assertNoErrors();
			return `3 questions got 502, a subscription of 2 s was closed after ${duration} s, ${receiver.requests.length} webhooks came, the stop ended with 0`;
		},
	);
});
