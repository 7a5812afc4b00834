import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pino } from 'pino';
import { InFlight } from '#src/http/in-flight.js';
import type { Endpoint } from '#src/operator/endpoint.js';
import { boundPort, startOperatorListener } from '#src/operator/listener.js';
import { channelListing } from '#src/operator/listing.js';
import { type ChannelName, parseChannelName } from '#src/pubsub/channel-name.js';
import { fakePeer, silentHub } from '../support/fake-peer.js';
import { request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { seededRandom } from '../support/random.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

type Page = { readonly channels: { channel: string; subscribers: number; grouped: number }[]; readonly cursor: string | null };

/** The pages of a listing from its first one on; `parameters` as in `prefix=/room/&limit=10`. */
async function* pages(operatorPort: number, parameters = ''): AsyncGenerator<Page> {
	let cursor: string | null = '';
	while (cursor !== null) {
		const path: string = `/channels?${parameters}${cursor && `&cursor=${cursor}`}`;
		const { status, body } = await request(operatorPort, { path });
		assert.equal(status, 200, body);
		const page: Page = JSON.parse(body);
		cursor = page.cursor;
		yield page;
	}
}

async function listed(operatorPort: number, parameters = ''): Promise<Page['channels']> {
	const found: Page['channels'] = [];
	for await (const { channels } of pages(operatorPort, parameters)) found.push(...channels);
	return found;
}

protocol(
	'`/channels` lists channels and how many are subscribed to each, by `limit` (100, at most 1,000); `cursor` gives the next page, and is null at the end.',
	async (t) => {
		const server = await startTestServer(t);
		const list = (parameters: string) => request(server.operatorPort, { path: `/channels?${parameters}` });
		assert.equal((await list('')).body, '{"channels":[],"cursor":null}\n');
		assert.equal((await list('')).headers.get('content-type'), 'application/json');
		const paths = Array.from({ length: 250 }, (_, i) => `/room/${i}`);
		await Promise.all([...paths, '/room/7', '/room/7'].map((path) => subscribe(t, server.ws(path))));
		const expected = paths.map((channel) => ({ channel, subscribers: channel === '/room/7' ? 3 : 1, grouped: 0 }));
		const sizes: number[] = [];
		for await (const { channels } of pages(server.operatorPort)) sizes.push(channels.length);
		assert.deepEqual(sizes, [100, 100, 50]);
		for (const limit of [1, 249, 250, 1_000]) {
			const found = await listed(server.operatorPort, `limit=${limit}`);
			const byNumber = found.sort((a, b) => Number(a.channel.slice(6)) - Number(b.channel.slice(6)));
			assert.deepEqual(byNumber, expected, String(limit));
		}
		const head = await request(server.operatorPort, { path: '/channels', method: 'HEAD' });
		assert.deepEqual([head.status, head.body, Number(head.headers.get('content-length')) > 100], [200, '', true]);
	},
);

protocol(
	'With `prefix`, it lists the channels whose path, percent-decoded once, begins with it; a `+` is a space.',
	async (t) => {
		const server = await startTestServer(t);
		const paths = [
			'/',
			'/room',
			'/room/1',
			'/room/1/x',
			'/rooms',
			'/caf%C3%A9/1',
			'/a%20b',
			'/a+b',
			'/%2525',
			'//room/1',
			'/%22',
		];
		await Promise.all(paths.map((path) => subscribe(t, server.ws(path))));
		const cases: Record<string, string[]> = {
			'/room': ['/room', '/room/1', '/room/1/x', '/rooms'],
			'/room/': ['/room/1', '/room/1/x'],
			'%2Froom%2F1': ['/room/1', '/room/1/x'],
			'//': ['//room/1'],
			'/caf%C3%A9': ['/café/1'],
			'/a+b': ['/a b'],
			'/a%20': ['/a b'],
			'/a%2Bb': ['/a+b'],
			'/%25': ['/%25'],
			'/%22': ['/"'],
			'/nothing': [],
			'/': paths.map(decodeURIComponent),
		};
		for (const [prefix, expected] of Object.entries(cases)) {
			const found = await listed(server.operatorPort, `limit=2&prefix=${prefix}`);
			assert.deepEqual(found.map(({ channel }) => channel).sort(), expected.sort(), prefix);
		}
	},
);

/** CI lists a million. No client connects to them: the cost of a listing does not depend on that. */
const channelCount = Number(process.env.TEST_CHANNELS ?? 20_000);

protocol(
	'A channel that is there throughout a listing is listed exactly once, whatever comes and goes meanwhile; no tick looks at more than 5,000 channels.',
	async (t) => {
		const random = seededRandom(t);
		const hub = silentHub();
		const join = (name: string) => {
			const { peer } = hub.join(name as ChannelName, fakePeer());
			return { leave: () => hub.leave(peer) };
		};
		const stays = (i: number) => i % 4 > 0;
		const fleeting: { leave(): void }[] = [];
		for (let i = 0; i < channelCount; i++) {
			const joined = join(`/room/${i}`);
			if (!stays(i)) fleeting.push(joined);
		}
		let looksThisTick = 0;
		let looksMax = 0;
		const list = hub.list.bind(hub);
		hub.list = (place, placesMax, visit) => {
			looksThisTick += placesMax;
			looksMax = Math.max(looksMax, looksThisTick);
			setImmediate(() => {
				looksThisTick = 0;
			});
			return list(place, placesMax, visit);
		};
		const listing = channelListing({ hub, isShared: false, readName: (path) => parseChannelName(path, 256) });
		const endpoint: Endpoint = { methods: ['GET'], path: '/channels', help: '', answer: listing };
		const address = { host: '127.0.0.1', port: 0 };
		const admin = await startOperatorListener(address, [], [endpoint], new InFlight(), pino({ enabled: false }));
		t.after(() => admin.close());
		const port = boundPort(admin);

		const ticks = monitorEventLoopDelay({ resolution: 1 });
		ticks.enable();
		let born = 0;
		async function listAndChurn(parameters: string): Promise<Map<string, number>> {
			const times = new Map<string, number>();
			for await (const { channels } of pages(port, parameters)) {
				for (const { channel } of channels) times.set(channel, (times.get(channel) ?? 0) + 1);
				for (let i = random.below(200); i > 0; i--) {
					const [gone] = fleeting.splice(random.below(fleeting.length), 1, join(`/born/${born++}`));
					gone?.leave();
				}
			}
			return times;
		}
		const [all, sevens, none] = await Promise.all([
			listAndChurn('limit=1000'),
			listAndChurn('prefix=/room/7&limit=99'),
			listAndChurn('prefix=/none'),
		]);
		ticks.disable();
		t.diagnostic(
			`${channelCount} channels, ${born} churned: the longest tick, the client's work included, took ${ticks.max / 1e6} ms`,
		);

		for (let i = 0; i < channelCount; i++) {
			if (!stays(i)) continue;
			const name = `/room/${i}`;
			assert.equal(all.get(name), 1, name);
			assert.equal(sevens.get(name), name.startsWith('/room/7') ? 1 : undefined, name);
		}
		assert.ok(born > 0 && all.size <= channelCount + born);
		assert.equal(none.size, 0);
		assert.equal(looksMax, 5_000);
	},
);

protocol('A wrong `limit`, `cursor` or `prefix` is refused with 400 and the remedy.', async (t) => {
	const { operatorPort } = await startTestServer(t);
	const other = await startTestServer(t);
	await Promise.all(['/1', '/2'].map((path) => subscribe(t, other.ws(path))));
	const page = await pages(other.operatorPort, 'limit=1').next();
	const limit = 'The limit is not a whole number from 1 to 1000.\n';
	const cursor = 'The cursor is not one that this process gave: leave it out to begin again.\n';
	const cases: Record<string, string> = {
		'limit=0': limit,
		'limit=1001': limit,
		'limit=-1': limit,
		'limit=1e2': limit,
		'limit=': limit,
		limit,
		'cursor=': cursor,
		'cursor=x': cursor,
		'cursor=00000000-99999999999': cursor,
		[`cursor=${page.value?.cursor}`]: cursor,
		'prefix=room': 'The prefix must begin with a slash.\n',
		'prefix=': 'The prefix must begin with a slash.\n',
		'prefix=/%': 'The prefix holds a % without two hexadecimal digits after it: write %25 for a literal %.\n',
		'prefix=/%ff': 'The prefix is not valid UTF-8 after percent-decoding: encode it as UTF-8.\n',
		'prefix=/\ufffd': 'The path may hold ASCII alone here: percent-encode the rest as UTF-8.\n',
		[`prefix=/${'x'.repeat(256)}`]: 'The prefix is longer than 256 characters, its leading slash included (--max-path).\n',
		'limit=1&limit=2': 'The limit is given twice: give it once.\n',
		'perfix=/': 'The parameters here are prefix, limit, and cursor.\n',
	};
	for (const [parameters, reason] of Object.entries(cases)) {
		const { status, body } = await request(operatorPort, { path: `/channels?${parameters}` });
		assert.deepEqual([status, body], [400, reason], parameters);
	}
	assert.equal((await request(operatorPort, { path: '/channels?&limit=1&' })).status, 200);
});

protocol(
	'`/channels/room/1` says how many are subscribed to `/room/1`, by the path rules of the public side, with all but ASCII percent-encoded; 404 if none is.',
	async (t) => {
		const server = await startTestServer(t);
		const paths = ['/', '//', '/room/1', '/room/1/', '/caf%C3%A9', '/a/../b', '/%', '/%ff', '/x?'];
		const show = (path: string) => request(server.operatorPort, { path: `/channels${path}` });
		const nobody = 'Nobody is subscribed to this channel.\n';
		for (const path of paths.slice(0, 6)) {
			const before = await show(path);
			assert.deepEqual([before.status, before.body], [404, nobody], path);
			const subscriber = await subscribe(t, server.ws(path));
			await subscribe(t, server.ws(path));
			const { status, headers, body } = await show(`${path}?x=1`);
			assert.deepEqual([status, headers.get('content-type')], [200, 'application/json']);
			assert.deepEqual(JSON.parse(body), { channel: decodeURIComponent(path), subscribers: 2, grouped: 0, backlog: 0 });
			await subscriber.close();
			assert.equal(JSON.parse((await show(path)).body).subscribers, 1);
		}
		assert.equal((await request(server.operatorPort, { path: '/channels/room/1', method: 'HEAD' })).status, 200);

		for (const path of ['/%', '/%ff', `/${'x'.repeat(256)}`]) {
			const [there, here] = [await request(server.port, { path }), await show(path)];
			assert.deepEqual([here.status, here.body], [400, there.body], path);
		}
		// Node's parser takes no other bytes.
		for (const path of ['/café', '/\ufffd']) {
			const { status, body } = await show(path);
			assert.deepEqual([status, body], [400, 'The path may hold ASCII alone here: percent-encode the rest as UTF-8.\n']);
		}
		const wrong = await request(server.operatorPort, { path: '/channels/room/1', method: 'PATCH' });
		assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'GET, HEAD, POST, PUT, DELETE']);
	},
);
