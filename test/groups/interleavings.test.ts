// Changes, answers of the authorisation service, closed channels and lost clients in random order: a client receives the messages of its
// set alone, its set has allowed paths alone, and a lost client leaves nothing in the server.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Envelopes } from '#src/groups/envelopes.js';
import { type GroupClient, openGroups, parseFrame } from '../support/groups.js';
import { post, request } from '../support/http.js';
import { type Random, seededRandom } from '../support/random.js';
import { metricBecomes, startTestServer, type TestServer } from '../support/server.js';
import { type Question, startService, type TestService } from '../support/service.js';

const paths = ['/a', '/b', '/c', '/d', '/alias/a', '/alias/b', '/denied', '/caf%C3%A9'];
const end = '/end';

/** One client, and what it has been told so far. */
class Watched {
	set: readonly string[];
	/** Rejects if the client got a frame that contradicts its set. */
	readonly hasEnded: Promise<undefined>;
	readonly #allowed: Set<string>;
	/** The last message of each sender on each path. */
	readonly #last = new Map<string, number>();
	#onAnswer: (head: ReadonlyMap<string, string>) => void = () => {};

	/** `allowed` has the paths that the service allows it. */
	constructor(
		readonly client: GroupClient,
		path: string,
		allowed: Set<string>,
	) {
		this.set = [path];
		this.#allowed = allowed;
		allowed.delete(path);
		this.hasEnded = this.#read();
	}

	/** Sends a change again and again until the set is that, unless the connection has ended. */
	async changeTo(path: string): Promise<void> {
		// Changes that were sent before are answered first.
		await this.#sendUntil('add: /%last', (head) => head.get('refused') === '/%last');
		await this.#sendUntil(`subscribe: ${path}`, (head) => head.get('subscribed') === path);
	}

	async #sendUntil(frame: string, isDone: (head: ReadonlyMap<string, string>) => boolean): Promise<void> {
		const answered = () =>
			new Promise<ReadonlyMap<string, string>>((resolve) => {
				this.#onAnswer = resolve;
			});
		for (;;) {
			this.client.send(frame);
			const head = await Promise.race([answered(), this.hasEnded]);
			if (head === undefined || isDone(head)) return;
		}
	}

	async #read(): Promise<undefined> {
		for (;;) {
			const received = await this.client.subscriber.next().catch(() => undefined);
			if (received === undefined) return undefined;
			const { head, body } = parseFrame(received);
			const path = head.get('channel');
			if (path !== undefined) this.#heard(path, head.get('from') ?? '', Number(body));
			else if (head.has('subscribed')) this.#changed(head);
			else assert.ok(head.has('refused'));
			if (path === undefined) this.#onAnswer(head);
			if (path === end) return undefined;
		}
	}

	#changed(head: ReadonlyMap<string, string>): void {
		const [subscribed, joined, left] = ['subscribed', 'joined', 'left'].map((name) => listOf(head.get(name)));
		assert.ok(subscribed && joined && left);
		for (const path of left) assert.ok(this.set.includes(path), `left ${path}, which it did not have`);
		for (const path of joined) {
			assert.ok(!this.set.includes(path), `joined ${path} twice`);
			assert.ok(this.#allowed.delete(path), `joined ${path} without having been allowed`);
		}
		const expected = [...this.set.filter((path) => !left.includes(path)), ...joined];
		assert.deepEqual([...subscribed].sort(), expected.sort());
		this.set = subscribed;
	}

	#heard(path: string, from: string, nth: number): void {
		assert.ok(this.set.includes(path), `heard ${path}, which it does not have`);
		const last = this.#last.get(`${path} ${from}`) ?? -1;
		assert.ok(nth > last, `message ${nth} of ${from} on ${path} came after ${last}`);
		this.#last.set(`${path} ${from}`, nth);
	}
}

function listOf(value: string | undefined): string[] {
	return value === undefined || value === '' ? [] : value.split(' ');
}

/** Lets every connection in, which has a number as its query, and holds the questions about further paths. */
function holdMore(service: TestService) {
	const held: Question[] = [];
	const allowed = new Map<string, Set<string>>();
	const askedOf = (question: Question) => question.field('X-Original-URI')?.split('?') as [path: string, client: string];
	const answer = (question: Question, isAllowed: boolean) => {
		const [path, client] = askedOf(question);
		if (!isAllowed || path === '/denied') {
			question.answer(path === '/b' ? 500 : 403);
			return;
		}
		allowed.set(client, (allowed.get(client) ?? new Set()).add(path));
		question.answer(204, path.startsWith('/alias') ? [['X-Rewrite', path.replace('/alias', '')]] : []);
	};
	service.script = (question) => {
		const [, client] = askedOf(question);
		if (allowed.has(client)) held.push(question);
		else answer(question, true);
	};
	const open = async (t: TestContext, server: TestServer, nth: number) => {
		const path = paths[(nth % paths.length) - 2] ?? '/a';
		const client = await openGroups(t, server, `${path}?${nth}`);
		return new Watched(client, path, allowed.get(String(nth)) ?? new Set());
	};
	return { held, answer, open };
}

function randomChange(random: Random): string {
	const some = Array.from({ length: random.below(5) }, () => paths[random.below(paths.length)]);
	return `${['subscribe', 'add', 'remove'][random.below(3)]}: ${some.join(' ')}`;
}

test('in any order of changes, answers, closed channels and lost clients, each client receives the messages of its channels alone', async (t) => {
	const random = seededRandom(t);
	const attach = t.mock.method(Envelopes.prototype, 'attach');
	const service = await startService(t);
	const { held, answer, open } = holdMore(service);
	const server = await startTestServer(t, '--groups', '--auth', service.url, '--auth-timeout', '60s', '--max-channels', '5');
	const publish = (path: string, nth: number) => post(server.operatorPort, `/channels${path}`, String(nth));
	const clients: Watched[] = [];
	const all: Watched[] = [];
	while (clients.length < 20) clients.push(await open(t, server, clients.length));
	all.push(...clients);
	for (let step = 0; step < 1_500; step++) {
		const nth = random.below(clients.length);
		const { client } = clients[nth] as Watched;
		const path = paths[random.below(paths.length)] ?? '/a';
		const kind = random.below(100);
		if (kind < 40) client.send(randomChange(random));
		else if (kind < 55) await publish(path, step);
		else if (kind < 60) client.publish(path, String(step));
		else if (kind < 64) client.send(['nonsense', 'add: /%zz', 'publish: /nobody\n\nx'][random.below(3)] ?? '');
		else if (kind < 68) await request(server.operatorPort, { method: 'DELETE', path: `/channels${path}` });
		else if (kind < 71) {
			if (random.below(2) === 0) client.ws.terminate();
			else void client.close();
			clients[nth] = await open(t, server, all.length).catch(() => clients[nth] as Watched);
			all.push(clients[nth] as Watched);
		} else {
			for (const question of held.splice(random.below(held.length + 1), 2)) answer(question, random.below(4) > 0);
		}
	}
	// The service allows every path from now on. Each client leaves all its channels, and gets no further message of them.
	service.script = (question) => answer(question, true);
	for (const question of held) answer(question, true);
	await Promise.all(clients.map((watched) => watched.changeTo('')));
	await Promise.all(clients.map((watched) => watched.changeTo(end)));
	for (const path of [...paths, end]) await publish(path, 1_500);
	await Promise.all(all.map(({ hasEnded }) => hasEnded));
	for (const { client } of clients) client.ws.terminate();
	for (const name of ['connections', 'subscribers', 'channels', 'auth_waiting'])
		await metricBecomes(server, `pathcast_${name}`, 0);
	const [call] = attach.mock.calls;
	assert.ok(call?.this instanceof Envelopes);
	assert.equal(call.this.size, 0);
	t.diagnostic(`${all.length} clients, ${attach.mock.callCount()} subscriptions`);
});
