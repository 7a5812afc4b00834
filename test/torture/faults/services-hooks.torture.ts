// Receivers of webhooks and close callbacks, and the service of --publish-hook, fail while clients come and go.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { post } from '../../support/http.js';
import { startNamingService } from '../../support/naming-service.js';
import { type ReceiverAnswer, startReceiver } from '../../support/receiver.js';
import { allow, answering, hold, type Script, startService, writing } from '../../support/service.js';
import { subscribe, subscribeMany } from '../../support/subscriber.js';
import { inForm } from '../support/torture.js';
import { startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

const queuedMax = 10_000;
const grownBytesMax = 128 * 1_048_576;
const failures: readonly ReceiverAnswer[] = ['hang', 'cut', 500];

describe('the receivers', { concurrency: 4 }, () => {
	fault(
		'Three webhook receivers that never answer, end every connection, or answer 500, beside a good one, while more than 10,000 events happen; then they recover',
		'The good receiver gets every event. At most 10,000 wait for each of the others; all are sent or counted as dropped.',
		async (t) => {
			const good = await startReceiver(t);
			const bad = await Promise.all(failures.map(() => startReceiver(t)));
			for (const [i, receiver] of bad.entries()) receiver.otherwise = failures[i] as ReceiverAnswer;
			const flags = [good, ...bad].flatMap(({ url }) => ['--webhook', url]);
			const server = await startBuilt(t, [...flags, '--webhook-events', 'channel_opened', '--groups']);
			const bystanders = await startBystanders(t, server);
			const crowd = await Promise.all(
				Array.from({ length: 40 }, () => subscribe(t, server.ws('/crowd'), {}, ['pathcast.groups.v1'])),
			);
			const told = (await good.next(4)).map(({ path }) => path);
			const before = await server.metric('process_resident_memory_bytes');
			let queued = 0;
			for (let wave = 0; wave < inForm(5, 9); wave++) {
				for (const [nth, client] of crowd.entries()) {
					const paths = Array.from({ length: 63 }, (_, i) => `/${wave}/${nth}/${i}`);
					client.send(`subscribe: /crowd ${paths.join(' ')}`);
				}
				for (const client of crowd) assert.match(await client.nextText(), /^subscribed: /);
				// The test gives the good receiver time, so that nothing is dropped for it.
				told.push(...(await good.next(40 * 63)).map(({ path }) => path));
				queued = Math.max(queued, await server.metric('pathcast_callbacks_queued'));
			}
			assert.equal(new Set(told).size, told.length);
			assert.ok(queued <= bad.length * queuedMax, `${queued} wait`);
			const grown = (await server.metric('process_resident_memory_bytes')) - before;
			assert.ok(grown < grownBytesMax, `${grown} bytes more`);
			for (const receiver of bad) receiver.otherwise = 204;
			await becomes(async () => (await server.metric('pathcast_callbacks_queued')) === 0);
			const late = bad.map((receiver) => receiver.rest().length);
			const sent = await server.metric('pathcast_webhook_events_total{outcome="sent"}');
			const dropped = await server.metric('pathcast_webhook_events_total{outcome="dropped"}');
			const lateInAll = late.reduce((sum, count) => sum + count);
			assert.deepEqual([sent, dropped], [told.length + lateInAll, bad.length * told.length - lateInAll]);
			assert.ok(dropped > 0);
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			return `${told.length} events to the good receiver; for the others, ${queued} waited at most, ${late.join(', ')} came later, ${dropped} were dropped; ${Math.round(grown / 1_048_576)} MB more; ${innocent}`;
		},
	);

	fault(
		'A receiver of `--close-callback` that answers the first request of each session with 500, and the second slowly',
		'A callback that fails is sent again. Every session is told once more, and subscribers notice nothing.',
		async (t) => {
			const names = await startNamingService(t);
			const times = new Map<string, number>();
			const receiver = await startService(t, (callback) => {
				const name = callback.field('X-Session') ?? '';
				times.set(name, (times.get(name) ?? 0) + 1);
				if (times.get(name) === 1) callback.answer(500);
				else setTimeout(() => callback.answer(204), 20);
			});
			const server = await startBuilt(t, ['--auth', names.url, '--auth-timeout', '60s', '--close-callback', receiver.url]);
			const bystanders = await startBystanders(t, server);
			const sessions = inForm(100, 400);
			const crowd = await subscribeMany(t, sessions, (nth) => server.ws(`/crowd?name=s${nth}`));
			for (const { ws } of crowd) ws.terminate();
			await becomes(async () => (await server.metric('pathcast_close_callbacks_total{outcome="sent"}')) === sessions);
			assert.deepEqual([...new Set(times.values())], [2]);
			assert.equal(times.size, sessions);
			assert.equal(await server.metric('pathcast_close_callbacks_total{outcome="dropped"}'), 0);
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			return `${sessions} sessions told, each by 2 requests; ${innocent}`;
		},
	);

	fault(
		'A service of `--publish-hook` that hangs, or answers with 500, garbage, half an answer, a reset or 2 MB, for one channel',
		'The message is not published: a websocket is closed with 1008, a POST gets 502. Other channels go on.',
		async (t) => {
			const broken: Script[] = [
				hold,
				answering(500),
				writing('SSH-2.0-OpenSSH_9.2p1\r\n', 'close'),
				writing('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nHel', 'close'),
				({ socket }) => socket.resetAndDestroy(),
				answering(200, [], 'x'.repeat(2_000_000)),
			];
			let nth = 0;
			const service = await startService(t, (question) => {
				if (question.field('X-Channel') !== '/victim') return allow(question);
				(broken[nth++ % broken.length] as Script)(question);
			});
			const server = await startBuilt(t, ['--publish-hook', service.url, '--auth-timeout', '5s']);
			const bystanders = await startBystanders(t, server);
			const listener = await subscribe(t, server.ws('/victim'));
			const each = inForm(60, 600);
			const senders = await subscribeMany(t, each, () => server.ws('/victim'));
			for (const sender of senders) sender.send('never');
			const posts = Promise.all(Array.from({ length: each }, () => post(server.port, '/victim', 'never')));
			for (const { closed } of senders) assert.equal((await closed).code, 1008);
			for (const { status } of await posts) assert.equal(status, 502);
			assert.equal(await server.metric('pathcast_publish_hook_messages_total{outcome="failed"}'), 2 * each);
			// The operator's message is not judged, and the first that arrives.
			await post(server.operatorPort, '/channels/victim', 'first');
			assert.equal(await listener.nextText(), 'first');
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			return `${each} websockets closed with 1008, ${each} POSTs got 502, none of their messages arrived; ${innocent}`;
		},
	);

	fault(
		'Floods of messages from some websockets while `--publish-hook` hangs',
		'A websocket with 128 messages waiting is closed with 1008, and nothing of it is published; the memory stays bounded.',
		async (t) => {
			const service = await startService(t, (question) => {
				if (question.field('X-Channel') !== '/flood') allow(question);
			});
			const server = await startBuilt(t, ['--publish-hook', service.url, '--auth-timeout', '60s']);
			const bystanders = await startBystanders(t, server);
			const listener = await subscribe(t, server.ws('/flood'));
			const before = await server.metric('process_resident_memory_bytes');
			const senders = await subscribeMany(t, inForm(40, 200), () => server.ws('/flood'));
			for (const sender of senders) for (let i = 0; i < 200; i++) sender.send('x'.repeat(1_000));
			await becomes(async () => (await server.metric('pathcast_publish_hook_messages_total{outcome="busy"}')) >= senders.length);
			const waiting = await server.metric('pathcast_publish_hook_waiting');
			assert.ok(waiting <= senders.length * 128, `${waiting} wait`);
			const grown = (await server.metric('process_resident_memory_bytes')) - before;
			assert.ok(grown < grownBytesMax, `${grown} bytes more`);
			const innocent = await bystanders.stop();
			await post(server.operatorPort, '/channels/flood', 'first');
			assert.equal(await listener.nextText(), 'first');
			server.assertNoErrors();
			return `${senders.length} websockets sent 200 messages each, ${waiting} waited; ${Math.round(grown / 1_048_576)} MB more; ${innocent}`;
		},
	);
});
