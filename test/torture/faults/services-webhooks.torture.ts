// Receivers of webhooks and close callbacks that fail in every way, under a flood of events.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { becomes } from '../../relay/support/becomes.js';
import { handshakeHeaders } from '../../support/http.js';
import { startNamingService } from '../../support/naming-service.js';
import { peakBytes } from '../../support/process.js';
import { seededRandom } from '../../support/random.js';
import { type ReceivedEvent, type Receiver, type ReceiverAnswer, startReceiver } from '../../support/receiver.js';
import { subscribe } from '../../support/subscriber.js';
import { inForm } from '../support/torture.js';
import { type BuiltServer, onLinux, startBuilt } from './support/built-server.js';
import { startBystanders } from './support/bystanders.js';
import { fault, faultsAtOnce } from './support/fault.js';

/** Opens and leaves so many websockets, some at a time. Each is two events. */
async function comeAndGo({ port }: BuiltServer, count: number): Promise<void> {
	let left = count;
	const fields = Object.entries(handshakeHeaders).map(([name, value]) => `${name}: ${value}\r\n`);
	async function visit(): Promise<void> {
		while (left-- > 0) {
			await new Promise<void>((resolve, reject) => {
				const socket = connect(port, '127.0.0.1', () => socket.write(`GET /flood HTTP/1.1\r\nHost: x\r\n${fields.join('')}\r\n`));
				// A reset leaves no port in TIME_WAIT.
				socket
					.once('data', () => socket.resetAndDestroy())
					.once('error', reject)
					.once('close', () => resolve());
			});
		}
	}
	await Promise.all(Array.from({ length: 32 }, visit));
}

const counted = (outcome: string) => `pathcast_webhook_events_total{outcome="${outcome}"}`;
const flags = (receiver: Receiver) => ['--webhook', receiver.url, '--webhook-events', 'connect,disconnect'];

/** Asserts that no event came twice, and that connections came in their order. */
function assertInOrder(events: readonly ReceivedEvent[]): void {
	for (const name of ['connect', 'disconnect']) {
		const own = events.filter(({ event }) => event === name).map(({ conn }) => Number(conn));
		assert.equal(new Set(own).size, own.length);
		if (name === 'connect')
			assert.deepEqual(
				own,
				[...own].sort((one, other) => one - other),
			);
	}
}

/** A server with a webhook, whose bystanders it has told of. */
async function startWithReceiver(t: TestContext) {
	const receiver = await startReceiver(t);
	const server = await startBuilt(t, flags(receiver));
	const bystanders = await startBystanders(t, server);
	await noneWaits(server);
	return { receiver, server, bystanders };
}

function noneWaits(server: BuiltServer): Promise<void> {
	return becomes(async () => (await server.metric('pathcast_callbacks_queued')) === 0);
}

/** Waits until no event waits, and asserts that each was accepted once, in order, or counted as dropped. */
async function toldOf(server: BuiltServer, receiver: Receiver, visitors: number): Promise<{ sent: number; dropped: number }> {
	await noneWaits(server);
	const [sent, dropped] = [await server.metric(counted('sent')), await server.metric(counted('dropped'))];
	assert.equal(sent + dropped, (await server.metric('pathcast_connections')) + 2 * visitors);
	const accepted = receiver.rest();
	assert.equal(accepted.length, sent);
	assertInOrder(accepted);
	return { sent, dropped };
}

/** Answers so many requests badly or well, by turns, and then well. */
function flap(t: TestContext, receiver: Receiver, requests: number): void {
	const random = seededRandom(t);
	// Half of them: few batches need all three retries.
	const answers: readonly ReceiverAnswer[] = [500, 'cut', 503, 204, 204, 204];
	receiver.answers.push(...Array.from({ length: requests }, () => answers[random.below(answers.length)] ?? 204));
}

// More than the 10,000 events that may wait.
const visitors = inForm(6_000, 60_000);
const heldBytesMax = 64 * 1_048_576;

faultsAtOnce('receivers that fail', () => {
	for (const [how, answer] of [
		['hangs', 'hang'],
		['answers 500', 500],
		['cuts its connections', 'cut'],
	] as const) {
		fault(
			`a webhook receiver that ${how} during a flood of ${2 * visitors} events, and then works`,
			'At most 10,000 events wait, the newest are dropped and counted, and connections are not affected.',
			async (t) => {
				const { receiver, server, bystanders } = await startWithReceiver(t);
				receiver.otherwise = answer;
				const before = peakBytes(server.pid);
				await comeAndGo(server, visitors);
				const queued = await server.metric('pathcast_callbacks_queued');
				assert.ok(queued <= 10_000 && queued > 9_000, `${queued} wait`);
				const grown = peakBytes(server.pid) - before;
				assert.ok(grown < heldBytesMax, `${grown} bytes`);
				receiver.otherwise = 204;
				const { sent, dropped } = await toldOf(server, receiver, visitors);
				const innocent = await bystanders.stop();
				server.assertNoErrors();
				return `${queued} waited, ${dropped} dropped, ${sent} accepted, in order, none twice; ${Math.round(grown / 1_048_576)} MiB more; ${innocent}`;
			},
			onLinux,
		);
	}

	fault(
		'a webhook receiver that fails half of the time',
		'A batch is repeated until it is accepted, three times at the most: none is accepted twice, and all come in order.',
		async (t) => {
			const { receiver, server, bystanders } = await startWithReceiver(t);
			flap(t, receiver, inForm(8, 80));
			const count = inForm(400, 4_000);
			await comeAndGo(server, count);
			const { sent, dropped } = await toldOf(server, receiver, count);
			const innocent = await bystanders.stop();
			server.assertNoErrors();
			return `${receiver.requests.length} requests: ${sent} events accepted, ${dropped} given up; ${innocent}`;
		},
		onLinux,
	);

	fault(
		'a receiver of close callbacks that fails half of the time, and hangs',
		'Each ended session is told of once, or given up and counted; at most 16 requests are out at once; connections are not affected.',
		async (t) => {
			const receiver = await startReceiver(t);
			const naming = await startNamingService(t);
			const server = await startBuilt(t, ['--auth', naming.url, '--close-callback', receiver.url]);
			const bystanders = await startBystanders(t, server);
			const before = server.openFiles();
			flap(t, receiver, inForm(200, 2_000));
			receiver.answers[5] = 'hang';
			const sessions = inForm(200, 2_000);
			for (let i = 0; i < sessions; i++) await (await subscribe(t, server.ws(`/room?s${i}`))).close();
			const outcome = (name: string) => server.metric(`pathcast_close_callbacks_total{outcome="${name}"}`);
			await becomes(async () => (await outcome('sent')) + (await outcome('dropped')) === sessions);
			const [sent, dropped] = [await outcome('sent'), await outcome('dropped')];
			assert.equal(new Set(receiver.requests.map(({ headers }) => headers['x-session'])).size, sessions);
			// The request that hangs is given up by the server some time before this receiver hears of it.
			assert.ok(receiver.atOnceMax <= 17, `${receiver.atOnceMax} at once`);
			const innocent = await bystanders.stop();
			receiver.server.closeAllConnections();
			await server.descriptorsComeBackTo(before);
			server.assertNoErrors();
			return `${receiver.requests.length} requests for ${sessions} sessions: ${sent} accepted, ${dropped} given up; ${innocent}`;
		},
		onLinux,
	);
});
