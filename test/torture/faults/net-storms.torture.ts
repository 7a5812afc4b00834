// More than anybody should ask for: floods, scrapes, connects and disconnects, upgrades that are aborted, heads of 60 KB.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { openGroups } from '../../support/groups.js';
import { post, request } from '../../support/http.js';
import { seededRandom } from '../../support/random.js';
import { allow, hold, startService } from '../../support/service.js';
import { subscribe, subscribeMany } from '../../support/subscriber.js';
import { inForm } from '../support/torture.js';
import { type BuiltServer, onLinux, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault } from './support/fault.js';
import { drained, handshakeOf, netFault, openSocket } from './support/net-fault.js';

netFault(
	{
		thrown: 'A flood on one channel by many publishers at once',
		promised: 'Subscribers that keep up get all messages in one order, each once, and quiet channels miss nothing.',
		flags: ['--max-backlog', '256MiB'],
	},
	async (t, server) => {
		const publishers = await subscribeMany(t, inForm(4, 16), () => server.ws('/flood'));
		const reader = await subscribe(t, server.ws('/flood'));
		const subscribers = [reader, ...publishers];
		// The server closes a publisher if more than 4,096 messages arrive in one tick.
		const atOnce = Math.floor(3_200 / publishers.length);
		const rounds = inForm(4, 40);
		for (let round = 0; round < rounds; round++) {
			const own = Array.from({ length: atOnce }, (_, i) => `${round * atOnce + i} of a flood`);
			for (const publisher of publishers) for (const text of own) publisher.send(text);
			const orders = await Promise.all(subscribers.map((subscriber) => subscriber.texts(atOnce * publishers.length)));
			const [order = []] = orders;
			for (const other of orders) assert.deepEqual(other, order);
			const each = own.flatMap((text) => publishers.map(() => text));
			assert.deepEqual([...order].sort(), each.sort());
		}
		const sent = rounds * atOnce * publishers.length;
		for (const subscriber of subscribers) await subscriber.close();
		return `${publishers.length} publishers, ${sent} messages: each of ${subscribers.length} subscribers got all, in one order.`;
	},
);

netFault(
	{
		thrown: 'A flood on one channel by a websocket that does not read',
		promised:
			'A subscriber that lags more than `--max-backlog` behind is disconnected, the publisher too, and quiet channels miss nothing.',
		flags: ['--max-backlog', '256KiB'],
	},
	async (t, server) => {
		const rounds = inForm(2, 20);
		let sent = 0;
		for (let round = 1; round <= rounds; round++) {
			const publisher = await subscribe(t, server.ws('/flood'));
			publisher.ws.pause();
			while ((await server.metric('pathcast_disconnects_total{reason="slow"}')) < round) {
				for (let i = 0; i < 50; i++) publisher.send('x'.repeat(16_000));
				sent += 50;
			}
			publisher.ws.resume();
			assert.equal((await publisher.closed).code, 1006);
		}
		return `${rounds} floods, ${sent} messages of 16 KB: each publisher was disconnected as slow.`;
	},
);

const scrapedPaths = ['/metrics', '/stats', '/channels?limit=1000', '/channels?prefix=/jobs/9'];

netFault(
	{
		thrown: 'Scrapes of `/metrics`, `/stats` and `/channels`, hundreds at once, with 10,000 channels',
		promised: 'Each scrape is answered with 200, and messages flow.',
		flags: ['--groups', '--max-groups', '1000'],
	},
	async (t, server) => {
		const clients = await Promise.all(Array.from({ length: 10 }, () => openGroups(t, server, '/scraped')));
		for (const [nth, client] of clients.entries()) {
			// In pieces, so that a head does not become too long.
			for (let from = 0; from < 999; from += 333) {
				await client.change(`add: ${Array.from({ length: 333 }, (_, i) => `/jobs/${nth}/${from + i}`).join(' ')}`);
			}
		}
		const channels = await server.metric('pathcast_channels');
		assert.ok(channels >= 9_990);
		const rounds = inForm(2, 30);
		let scrapes = 0;
		for (let round = 0; round < rounds; round++) {
			const answers = await Promise.all(
				Array.from({ length: 200 }, (_, i) => request(server.operatorPort, { path: scrapedPaths[i % 4] ?? '/' })),
			);
			for (const { status } of answers) assert.equal(status, 200);
			scrapes += answers.length;
			clients[0]?.publish('/jobs/0/0', `round ${round}`);
			assert.equal((await clients[0]?.nextMessage())?.[2], `round ${round}`);
		}
		for (const client of clients) await client.close();
		return `${scrapes} scrapes of ${channels} channels, 200 at once, all answered with 200.`;
	},
);

netFault(
	{
		thrown: 'A storm of connects and disconnects: closed politely, by a FIN and by a reset',
		promised: 'A channel exists from its first subscriber to its last; after that, nothing is kept of it.',
	},
	async (t, server) => {
		const random = seededRandom(t);
		const before = await server.metric('pathcast_channels');
		const storms = inForm(8, 200);
		let clients = 0;
		for (let round = 0; round < storms; round++) {
			const crowd = await subscribeMany(t, 100, () => server.ws(`/storm/${random.below(1_000)}`));
			for (const { ws } of crowd) {
				const how = random.below(3);
				if (how === 0) ws.close();
				else if (how === 1) ws.terminate();
				// The types of ws hide the socket.
				else (ws as unknown as { _socket: { resetAndDestroy(): void } })._socket.resetAndDestroy();
			}
			clients += crowd.length;
			await Promise.all(crowd.map(({ closed }) => closed));
		}
		await becomes(async () => (await server.metric('pathcast_channels')) === before);
		return `${clients} websockets came and went on 1,000 channels; none of these is left.`;
	},
);

fault(
	'A storm of upgrades with `--auth` that are aborted before the answer of the service',
	'A client that leaves takes its question back, and is never subscribed.',
	async (t) => {
		const service = await startService(t, allow);
		const server = await startBuilt(t, ['--auth', service.url, '--auth-timeout', '10s']);
		const bystanders = await startBystanders(t, server);
		const [subscribers, opened] = [
			await server.metric('pathcast_subscribers'),
			await server.metric('pathcast_connections_opened_total'),
		];
		// The connections to the service are kept open.
		service.hangUp();
		const before = server.openFiles();
		service.script = hold;
		const rounds = inForm(3, 50);
		let aborted = 0;
		for (let round = 0; round < rounds; round++) {
			const sockets = await Promise.all(Array.from({ length: 200 }, () => openSocket(t, { port: server.port })));
			const asked = service.asked;
			for (const socket of sockets) socket.write(handshakeOf('/aborted'));
			await becomes(() => service.asked > asked);
			for (const [i, socket] of sockets.entries()) {
				if (i % 2 === 0) socket.resetAndDestroy();
				else socket.destroy();
			}
			aborted += sockets.length;
		}
		service.script = allow;
		const witness = await subscribe(t, server.ws('/aborted'));
		assert.equal((await post(server.port, '/aborted', 'x')).headers.get('x-subscribers'), '1');
		await witness.close();
		await becomes(async () => (await server.metric('pathcast_subscribers')) === subscribers);
		assert.equal(await server.metric('pathcast_connections_opened_total'), opened + 1);
		assert.ok((await server.metric('pathcast_auth_questions_total{outcome="cancelled"}')) > 0);
		service.hangUp();
		await server.descriptorsComeBackTo(before);
		const seen = await bystanders.stop();
		server.assertNoErrors();
		return `${aborted} upgrades, half ended by a reset and half by a FIN: none was subscribed. ${seen}; the descriptors are those of before.`;
	},
	onLinux,
);

/** The status that answers a request on a connection of its own, or `nothing` if the connection ended without an answer. */
async function statusOf(t: TestContext, server: BuiltServer, text: string): Promise<string> {
	const socket = await openSocket(t, { port: server.port });
	const first = once(socket, 'data').then(
		([data]) => String(data).slice(9, 12),
		() => 'nothing',
	);
	socket.write(text);
	const status = await Promise.race([first, drained(socket).then((all) => (all === '' ? 'nothing' : all.slice(9, 12)))]);
	socket.destroy();
	return status;
}

netFault(
	{
		thrown: 'URLs of 60 KB and header fields of 60 KB, on every kind of request',
		promised: 'A head of more than 4 KiB is refused or closed, and a path of more than 256 code points is never a channel.',
	},
	async (t, server) => {
		const before = await server.metric('pathcast_channels');
		const long = 'x'.repeat(60_000);
		const rounds = inForm(5, 200);
		const outcomes = new Map<string, number>();
		for (let round = 0; round < rounds; round++) {
			for (const text of [
				handshakeOf(`/${long}`),
				`GET /${long} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`,
				`POST /${long} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx`,
				`POST /room HTTP/1.1\r\nHost: x\r\nX: ${long}\r\nContent-Length: 1\r\n\r\nx`,
			]) {
				const status = await statusOf(t, server, text);
				// In one read, the older engine takes a head of any length: the path is refused then, and the field served.
				assert.match(status, text.includes(`X: ${long}`) ? /^(nothing|431|200)$/ : /^(nothing|431|400)$/);
				outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
			}
		}
		assert.equal(await server.metric('pathcast_channels'), before);
		return `${4 * rounds} requests; ${[...outcomes].map(([status, count]) => `${status}: ${count}`).join(', ')}.`;
	},
);
