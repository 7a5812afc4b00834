// The service of --auth fails in every way that a service can, while clients come and subscribers of other channels talk.
import assert from 'node:assert/strict';
import { describe, type TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { answerTo, askedDoors, knock, openStatus } from '../../support/doors.js';
import { seededRandom } from '../../support/random.js';
import { allow, answering, byPath, hold, type Script, startService, writing } from '../../support/service.js';
import { subscribe } from '../../support/subscriber.js';
import { startRelay } from '../support/tcp-relay.js';
import { inForm } from '../support/torture.js';
import { type BuiltServer, onLinux, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

const megabytes = 'x'.repeat(10_000_000);
const head = 'HTTP/1.1 204 No Content\r\n';

/** By the path that a client asks for. */
const brokenAnswers: Readonly<Record<string, Script>> = {
	'/garbage': writing('SSH-2.0-OpenSSH_9.2p1\r\n', 'close'),
	'/bytes': writing(Buffer.from([0x16, 0x03, 0x01, 0xff, 0x00])),
	'/half-a-status': writing('HTTP/1.1 20', 'close'),
	'/half-a-head': writing(`${head}X-Sess`, 'close'),
	'/half-a-body': writing('HTTP/1.1 200 OK\r\nX-Session: a\r\nContent-Length: 10\r\n\r\nHel', 'close'),
	'/nothing': ({ socket }) => socket.end(),
	'/reset': ({ socket }) => socket.resetAndDestroy(),
	'/reset-in-mid-answer': ({ socket }) => socket.write(head, () => socket.resetAndDestroy()),
	'/10-mb-of-body': answering(500, [], megabytes),
	'/10-mb-of-head': writing(`${head}X: ${megabytes}`),
	'/500': answering(500),
	'/hang': hold,
};
const goodAnswers: Readonly<Record<string, Script>> = { '/allowed': allow, '/denied': answering(403) };
const atOnce = 24;
// What Node keeps of 24 answers of 10 MB that it reads in pieces, with room for its heap.
const grownBytesMax = 128 * 1_048_576;

type Outcome = 'allowed' | 'denied' | 'malformed' | 'unreachable' | 'timeout' | 'cancelled';
const questions = (server: BuiltServer, outcome: Outcome) => server.metric(`pathcast_auth_questions_total{outcome="${outcome}"}`);

/** A built server behind whose bystanders the service takes that script. */
async function startAsking(t: TestContext, script: Script, ...flags: string[]) {
	const service = await startService(t);
	// The service stands behind a relay, which can be closed and opened at one port.
	const relay = await startRelay(t, { host: '127.0.0.1', port: Number(new URL(service.url).port) });
	const url = `http://127.0.0.1:${relay.port}/ask`;
	const server = await startBuilt(t, ['--auth', url, ...flags]);
	const bystanders = await startBystanders(t, server);
	const listener = await subscribe(t, server.ws('/room'));
	service.script = script;
	return { service, relay, server, bystanders, listener };
}

/** All three kinds of clients come at once, so many of each; gives how many got which status. */
async function knockAll(server: BuiltServer, count: number): Promise<Record<number, number>> {
	const doors = Array.from({ length: count }, () => askedDoors).flat();
	const statuses: Record<number, number> = {};
	for (const { status } of await Promise.all(doors.map((door) => answerTo(server.port, door, '/room'))))
		statuses[status] = (statuses[status] ?? 0) + 1;
	return statuses;
}

/** Waits until every kind of client is let in, and its message is the next one that the listener gets. */
async function letsIn(server: BuiltServer, listener: { nextText(): Promise<string> }): Promise<void> {
	for (const door of askedDoors)
		await becomes(async () => (await answerTo(server.port, door, '/room')).status === openStatus[door]);
	assert.equal(await listener.nextText(), 'hello');
}

describe('the service of --auth', { concurrency: 4 }, () => {
	fault(
		'An authorisation service that flaps under load: garbage, half an answer, 10 MB, a reset in mid-answer, 500, no answer, and good answers between them',
		'Only a clear yes lets a client in, a no is passed on, everything else is 502. The memory stays bounded.',
		async (t) => {
			const random = seededRandom(t);
			const { server, bystanders } = await startAsking(t, byPath({ ...brokenAnswers, ...goodAnswers }), '--auth-timeout', '3s');
			const openFiles = server.openFiles();
			const before = await server.metric('process_resident_memory_bytes');
			const paths = [...Object.keys(brokenAnswers), ...Object.keys(goodAnswers), ...Object.keys(goodAnswers)];
			const seen = { in: 0, denied: 0, broken: 0 };
			let left = inForm(600, 6_000);
			const client = async () => {
				while (left-- > 0) {
					const path = paths[random.below(paths.length)] as string;
					const door = askedDoors[random.below(3)] as (typeof askedDoors)[number];
					const { status } = await answerTo(server.port, door, path);
					const expected = path === '/allowed' ? openStatus[door] : path === '/denied' ? 403 : 502;
					assert.equal(status, expected, `${door} ${path}`);
					seen[path === '/allowed' ? 'in' : path === '/denied' ? 'denied' : 'broken']++;
				}
			};
			await Promise.all(Array.from({ length: atOnce }, client));
			const grown = (await server.metric('process_resident_memory_bytes')) - before;
			assert.ok(grown < grownBytesMax, `${grown} bytes more`);
			const failed = await Promise.all((['malformed', 'unreachable', 'timeout'] as const).map((kind) => questions(server, kind)));
			assert.equal(
				failed.reduce((sum, count) => sum + count),
				seen.broken,
			);
			assert.equal(await questions(server, 'denied'), seen.denied);
			await becomes(() => server.openFiles() <= openFiles + atOnce);
			const warned = server.log().filter(({ event }) => event === 'hook');
			assert.ok(warned.length > 0 && warned.every(({ level }) => level === 'warn'));
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			return `${seen.in} let in, ${seen.denied} refused by the service, ${seen.broken} broken answers became 502; ${Math.round(grown / 1_048_576)} MB more; ${innocent}`;
		},
		onLinux,
	);

	fault(
		'An authorisation service that dies with questions open and comes back, again and again',
		'Clients get 502 while it is down and publish nothing; the next client after its return is let in.',
		async (t) => {
			const { service, relay, server, bystanders, listener } = await startAsking(t, hold, '--auth-timeout', '30s');
			const rounds = inForm(4, 30);
			const each = 10;
			for (let round = 0; round < rounds; round++) {
				const before = service.asked;
				service.script = hold;
				const open = knockAll(server, each);
				await becomes(() => service.asked === before + 3 * each);
				relay.refuse();
				relay.reset();
				assert.deepEqual(await open, { 502: 3 * each });
				assert.deepEqual(await knockAll(server, each), { 502: 3 * each });
				service.script = allow;
				await relay.accept();
				await letsIn(server, listener);
			}
			assert.ok((await questions(server, 'unreachable')) >= rounds * each * 6);
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			return `${rounds} deaths: ${rounds * each * 6} clients got 502, and ${rounds * 3} were let in after them; ${innocent}`;
		},
	);

	fault(
		'An authorisation service that hangs with 300 clients, more than may ask at once, and answers all of them too late',
		'Every client gets 502 when `--auth-timeout` is over. The late yes lets nobody in.',
		async (t) => {
			const { service, relay, server, bystanders, listener } = await startAsking(t, allow, '--auth-timeout', '2s');
			const openFiles = server.openFiles();
			relay.toClient.stall();
			const before = service.asked;
			assert.deepEqual(await knockAll(server, 100), { 502: 300 });
			const asked = service.asked - before;
			relay.toClient.resume();
			await letsIn(server, listener);
			assert.ok((await questions(server, 'timeout')) >= 300);
			await becomes(async () => (await server.metric('pathcast_auth_waiting')) === 0);
			await becomes(() => server.openFiles() <= openFiles + 3);
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			return `300 clients got 502, and the service had heard ${asked} questions; ${innocent}`;
		},
		onLinux,
	);

	fault(
		'An authorisation service that answers yes when the clients have gone',
		'A client that leaves takes its question back: it is never subscribed, and its message never published.',
		async (t) => {
			const { service, server, bystanders, listener } = await startAsking(t, hold, '--auth-timeout', '60s');
			const openFiles = server.openFiles();
			const taken = await server.metric('pathcast_connections');
			const rounds = inForm(3, 20);
			const each = 60;
			await service.take(service.asked);
			for (let round = 0; round < rounds; round++) {
				service.script = hold;
				const clients = Array.from({ length: each }, (_, i) => knock(server.port, askedDoors[i % 3] ?? 'POST', '/room'));
				const asked = await service.take(each);
				for (const client of clients) client.end();
				// The answers cross the ends of the clients on their way.
				for (const question of asked) question.answer(204);
				service.script = allow;
				await becomes(async () => (await server.metric('pathcast_connections')) === taken);
			}
			const [cancelled, allowed] = [await questions(server, 'cancelled'), await questions(server, 'allowed')];
			assert.equal(cancelled + allowed, rounds * each + 10);
			await becomes(() => server.openFiles() <= openFiles);
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			await listener.close();
			return `${rounds * each} clients left: ${cancelled} questions taken back, ${allowed - 10} answered first, and none stayed; ${innocent}`;
		},
		onLinux,
	);
});
