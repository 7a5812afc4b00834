// Who gets in is for a service to say, and on which channel: deploy/nginx/auth-request.conf and auth-lua.conf.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Authority, startAuthority, type Verdict } from './support/authority.js';
import { HttpsClient, subscribeOver } from './support/clients.js';
import { needsLua, needsNginx, startNginx } from './support/nginx.js';
import { startNodes } from './support/nodes.js';

const asServer = { authorization: 'Bearer server' };

/** Users with a token may subscribe to rooms, and to what is theirs by the name of /me; the application server may do everything. */
function judge(method: string, uri: string, headers: NodeJS.Dict<string | string[]>): Verdict {
	if (headers.authorization === asServer.authorization) return { status: 204 };
	const { pathname, searchParams } = new URL(uri, 'http://localhost');
	const user = searchParams.get('token') ?? /token=([0-9]+)/.exec(String(headers.cookie))?.[1];
	if (user === undefined) return { status: 401 };
	if (method !== 'GET') return { status: 403 };
	if (pathname.startsWith('/me/'))
		return { status: 204, rewrite: decodeURIComponent(pathname).replace('/me/', `/user/${user}/`) };
	return { status: pathname.startsWith('/room/') ? 204 : 403 };
}

async function startAll(t: TestContext, file: string, verdict: typeof judge = judge) {
	const nodes = await startNodes(t, 3);
	const authority: Authority = await startAuthority(t, verdict);
	const { port } = await startNginx(t, file, nodes, [['http://127.0.0.1:8090/', `http://127.0.0.1:${authority.port}/`]]);
	const client = new HttpsClient(t, port);
	const publish = (path: string, message: string) => client.publish(path, message, asServer);
	return { authority, nodes, port, client, publish };
}

for (const [file, needed] of [['auth-request.conf', needsNginx] as const, ['auth-lua.conf', needsLua] as const]) {
	test(`${file}: whom the service allows gets in, whom it refuses does not`, needed, async (t) => {
		const { port, client, publish } = await startAll(t, file);
		const byQuery = await subscribeOver(t, port, `/room/1?token=157&long=${'x'.repeat(5_000)}`);
		const byCookie = await subscribeOver(t, port, '/room/%31', { headers: { cookie: `token=158; other=${'x'.repeat(6_000)}` } });
		const rejected = (path: string, status: number) =>
			assert.rejects(subscribeOver(t, port, path, { headers: { 'x-rewrite': '/room/1' } }), new RegExp(`response: ${status}`));
		await rejected('/room/1', 401);
		await rejected('/user/158/chan?token=157', 403);
		await rejected('/-/authorize?token=157', 404);
		const wanted = [
			['GET', '/room/1', 401],
			['GET', '/room/1?token=157', 200],
			['POST', '/room/1', 401],
			['POST', '/room/1?token=157', 403],
			['PUT', '/room/1?token=157', 405],
		] as const;
		for (const [method, path, status] of wanted) {
			const answer = await client.ask(path, { method, ...(method !== 'GET' && { body: 'refused' }) });
			assert.equal(answer.status, status, `${method} ${path}`);
			assert.equal(answer.headers['www-authenticate'], status === 401 ? 'Bearer' : undefined);
		}
		assert.equal(await publish('/room/1', 'allowed'), 2);
		for (const subscriber of [byQuery, byCookie]) assert.equal(await subscriber.nextText(), 'allowed');
	});

	test(`${file}: who subscribes to /me/… is found by POSTs to what the service makes of it`, needed, async (t) => {
		const { nodes, port, publish } = await startAll(t, file);
		const names = Array.from({ length: 30 }, (_, i) => `chan+${i}`).concat('caf%C3%A9', '中', 'a//b', 'a%2fb', 'a%2B');
		for (const name of names) {
			const mine = await subscribeOver(t, port, `/me/${name}?token=157`);
			const others = await subscribeOver(t, port, `/me/${name}?token=158`);
			assert.equal(await publish(`/user/157/${name}`, 'for 157'), 1, name);
			assert.equal(await publish(`/user/%31%35%38/${name.toLowerCase()}?x=1`, 'for 158'), 1, name);
			assert.equal(await mine.nextText(), 'for 157');
			assert.equal(await others.nextText(), 'for 158');
		}
		for (const node of nodes) assert.ok((await node.channels()).size > 0);
	});

	test(`${file}: nobody gets in while the service fails or is gone`, needed, async (t) => {
		let isFailing = false;
		const { authority, port, client, publish } = await startAll(t, file, (...asked) =>
			isFailing ? { status: 500 } : judge(...asked),
		);
		const subscriber = await subscribeOver(t, port, '/room/1?token=157');
		const isClosed = async () => {
			await assert.rejects(subscribeOver(t, port, '/room/1?token=157'), /response: 500/);
			for (const method of ['GET', 'POST']) {
				const answer = await client.ask('/room/1?token=157', { method, headers: asServer });
				assert.equal(answer.status, 500);
			}
		};
		isFailing = true;
		await isClosed();
		isFailing = false;
		assert.equal(await publish('/room/1', 'in between'), 1);
		await authority.stop();
		await isClosed();
		subscriber.send('who is in stays in');
		assert.deepEqual(await subscriber.texts(2), ['in between', 'who is in stays in']);
	});
}

test('auth-request.conf: an X-Rewrite that stock nginx cannot place gets 500', needsNginx, async (t) => {
	let rewrite = '';
	const { port, client } = await startAll(t, 'auth-request.conf', () => ({ status: 204, rewrite }));
	const status = async (value: string) => {
		rewrite = value;
		return (await client.ask('/me/chan', { method: 'POST', body: 'x' })).status;
	};
	for (const good of ['/user/157/chan', '/user/157/é', '/..a/.b/c.', '/a+b:c']) assert.equal(await status(good), 200, good);
	const bad = ['/a%20b', '/a b', '/a?b', '/a#b', '/a/../b', '/./a', '/a/..', '..', 'http://127.0.0.1/', 'a'];
	for (const value of bad) assert.equal(await status(value), 500, value);
	rewrite = '';
	const subscriber = await subscribeOver(t, port, '/me/chan');
	assert.equal(await client.publish('/me/chan', 'not rewritten'), 1);
	assert.equal(await subscriber.nextText(), 'not rewritten');
});

test('auth-lua.conf: an X-Rewrite may be percent-encoded, and one that is no path gets 500', needsLua, async (t) => {
	let rewrite = '';
	const { port, client } = await startAll(t, 'auth-lua.conf', (_, uri) => ({ status: 204, ...(uri === '/me' && { rewrite }) }));
	for (const value of ['/user/157/a%20b', '/caf%c3%a9', '/a%2Bb+c', '/%25', '/a/../b%3f']) {
		rewrite = value;
		const subscriber = await subscribeOver(t, port, '/me');
		const spelled = value.replace('%c3%a9', 'é').replace('%20', '%20').replace('+', '%2b');
		assert.equal(await client.publish(spelled, 'hello'), 1, value);
		assert.equal(await subscriber.nextText(), 'hello');
	}
	for (const value of ['/a b', '/a?b', '/a#b', 'a', 'http://127.0.0.1/']) {
		rewrite = value;
		assert.equal((await client.ask('/me', { method: 'POST', body: 'x' })).status, 500, value);
	}
});
