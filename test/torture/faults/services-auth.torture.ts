// An authorisation service that fails in every way, under load.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { becomes } from '../../relay/support/becomes.js';
import { answerTo, askedDoors, knock, openStatus } from '../../support/doors.js';
import { freePort } from '../../support/free-port.js';
import { seededRandom } from '../../support/random.js';
import { allow, answering, hold, type Question, type Script, slowly, startService, writing } from '../../support/service.js';
import { inForm } from '../support/torture.js';
import { onLinux, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';

const head = 'HTTP/1.1 200 OK\r\nX-Session: alice\r\n';
const isBystanders = (question: Question) => question.field('X-Original-URI')?.startsWith('/bystander') === true;

/** The ways in which a service fails. None of them may let a client in. */
const failures: readonly Script[] = [
	hold,
	({ socket }) => socket.destroy(),
	({ socket }) => socket.resetAndDestroy(),
	answering(500),
	answering(302, [['Location', '/']]),
	writing('SSH-2.0-OpenSSH_9.2p1\r\n'),
	writing(`${head}Content-Length: 10\r\n\r\nHel`, 'close'),
	writing(`HTTP/1.1 204 No Content\r\nX: ${'x'.repeat(10_000_000)}`),
	({ socket }) => socket.write(`${head}Content-Length: 9\r\n\r\n`, () => socket.resetAndDestroy()),
];

fault(
	'an authorisation service that allows, denies, hangs, dies, resets, and answers garbage and 10 MB, by turns, under load',
	'Only a clear answer lets a client in. All others get 502; the present subscribers notice nothing.',
	async (t) => {
		const random = seededRandom(t);
		const verdicts = new Map<string, 'allowed' | 'denied' | 'failed'>();
		const service = await startService(t, (question) => {
			if (isBystanders(question)) return allow(question);
			// A question may come again on another connection, if the first has ended.
			const client = question.field('X-Original-URI') ?? '';
			const roll = random.below(3);
			verdicts.set(client, roll === 0 ? 'allowed' : roll === 1 ? 'denied' : 'failed');
			if (roll === 0) return slowly(allow, random.below(20))(question);
			if (roll === 1) return answering(403)(question);
			return failures[random.below(failures.length)]?.(question);
		});
		const server = await startBuilt(t, ['--auth', service.url, '--auth-timeout', '1s', '--auth-concurrency', '64']);
		const bystanders = await startBystanders(t, server);
		const before = server.openFiles();
		const clients = inForm(600, 6_000);
		const counts = { allowed: 0, denied: 0, failed: 0 };
		let next = 0;
		await Promise.all(
			Array.from({ length: 48 }, async () => {
				while (next < clients) {
					const nth = next++;
					const door = askedDoors[nth % askedDoors.length] ?? 'POST';
					const { status } = await answerTo(server.port, door, `/client/${nth}`);
					const verdict = verdicts.get(`/client/${nth}`) ?? 'failed';
					assert.equal(status, { allowed: openStatus[door], denied: 403, failed: 502 }[verdict], `${door} ${nth} ${verdict}`);
					counts[verdict]++;
				}
			}),
		);
		const innocent = await bystanders.stop();
		service.hangUp();
		await server.descriptorsComeBackTo(before);
		server.assertNoErrors();
		return `${counts.allowed} let in, ${counts.denied} got 403, ${counts.failed} got 502, each as it was answered; ${innocent}`;
	},
	onLinux,
);

fault(
	'an authorisation service that is killed and comes back, again and again, under load',
	'While it is away, clients get 502. Those that come when it is back get in; the present subscribers notice nothing.',
	async (t) => {
		const port = await freePort();
		let service = await listen(port);
		t.after(() => service.closeAllConnections());
		t.after(() => service.close());
		const server = await startBuilt(t, ['--auth', `http://127.0.0.1:${port}/`]);
		const bystanders = await startBystanders(t, server);
		const before = server.openFiles();
		const counts = { in: 0, refused: 0 };
		let isOver = false;
		const crowd = Array.from({ length: 16 }, async (_, nth) => {
			const door = askedDoors[nth % askedDoors.length] ?? 'POST';
			while (!isOver) {
				const { status } = await answerTo(server.port, door);
				assert.ok(status === 502 || status === openStatus[door], `${status}`);
				counts[status === 502 ? 'refused' : 'in']++;
			}
		});
		const times = inForm(5, 50);
		for (let i = 0; i < times; i++) {
			await becomesMore(() => counts.in);
			service.close();
			service.closeAllConnections();
			await becomesMore(() => counts.refused);
			service = await listen(port);
		}
		await becomesMore(() => counts.in);
		isOver = true;
		await Promise.all(crowd);
		const innocent = await bystanders.stop();
		service.closeAllConnections();
		await server.descriptorsComeBackTo(before);
		server.assertNoErrors();
		return `${times} times killed: ${counts.in} let in, ${counts.refused} got 502; ${innocent}`;
	},
	onLinux,
);

async function listen(port: number): Promise<Server> {
	const service = createServer((_, response) => response.writeHead(204).end());
	await once(service.listen(port, '127.0.0.1'), 'listening');
	return service;
}

/** Waits until a count has grown by some. */
async function becomesMore(count: () => number): Promise<void> {
	const before = count();
	await becomes(() => count() >= before + 20);
}

fault(
	'an authorisation service that answers after its clients have gone',
	'The open questions are taken back, nobody stays, and nothing is kept of them.',
	async (t) => {
		const service = await startService(t, allow);
		const server = await startBuilt(t, ['--auth', service.url, '--auth-timeout', '60s']);
		const bystanders = await startBystanders(t, server);
		const before = server.openFiles();
		const [opened, present] = [
			await server.metric('pathcast_connections_opened_total'),
			await server.metric('pathcast_connections'),
		];
		service.script = (question) => (isBystanders(question) ? allow : hold)(question);
		const asked = service.asked;
		const count = inForm(200, 256);
		const clients = Array.from({ length: count }, (_, nth) => knock(server.port, askedDoors[nth % 3] ?? 'POST', '/late'));
		await becomes(() => service.asked === asked + count);
		await service.take(asked);
		const questions = await service.take(count);
		for (const client of clients) client.end();
		// Some answers are on their way when the server hears that their clients have left.
		for (const question of questions.slice(0, count / 2)) question.answer(204);
		await becomes(async () => (await server.metric('pathcast_auth_questions_total{outcome="cancelled"}')) >= count / 2);
		await becomes(async () => (await server.metric('pathcast_connections')) === present);
		const entered = (await server.metric('pathcast_connections_opened_total')) - opened;
		assert.ok(entered <= count / 2, `${entered} entered`);
		service.hangUp();
		await server.descriptorsComeBackTo(before);
		const innocent = await bystanders.stop();
		server.assertNoErrors();
		await server.stop();
		return `${count} clients left, ${entered} of them after their answer was there: none stayed; ${innocent}; ${before} descriptors again`;
	},
	onLinux,
);
