// Signed links that expire: deploy/nginx/secure-link.conf.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '../support/temporary-folder.js';
import { HttpsClient, subscribeOver } from './support/clients.js';
import { needsNginx, startNginx } from './support/nginx.js';
import { startNodes } from './support/nodes.js';

const secret = 'd0e8c1f4';
const outside = { from: '127.0.0.2' };
const inAnHour = () => Math.floor(Date.now() / 1_000) + 3_600;
const anHourAgo = () => inAnHour() - 7_200;

/** As an application signs it. */
function link(path: string, expires: number, key = secret): string {
	const signature = createHash('md5').update(`${expires} ${path} ${key}`).digest('base64url');
	return `${path}?expires=${expires}&signature=${signature}`;
}

async function startLinks(t: TestContext) {
	const secretPath = `${temporaryFolder(t)}/secret.conf`;
	writeFileSync(secretPath, `set $pathcast_secret "${secret}";\n`);
	const nodes = await startNodes(t, 1);
	const { port } = await startNginx(t, 'secure-link.conf', nodes, [
		['include /etc/nginx/pathcast-secret.conf;', `include ${secretPath};`],
	]);
	return { port, client: new HttpsClient(t, port) };
}

test('a signed link subscribes to its path until it expires', needsNginx, async (t) => {
	const { port, client } = await startLinks(t);
	for (const path of ['/room/1', '/caf%C3%A9/%2F%25', '/a//b/../c']) {
		const subscriber = await subscribeOver(t, port, link(path, inAnHour()), outside);
		assert.equal(await client.publish(path, 'to the signed'), 1);
		assert.equal(await subscriber.nextText(), 'to the signed');
		assert.equal((await client.ask(link(path, inAnHour()), outside)).status, 200);
		await assert.rejects(subscribeOver(t, port, link(path, anHourAgo()), outside), /response: 410/);
	}
});

test('a forged link, one of another path, or none gets 403, and no link lets anybody outside POST', needsNginx, async (t) => {
	const { port, client } = await startLinks(t);
	const good = link('/room/1', inAnHour());
	const bad = [
		'/room/1',
		'/room/1?expires=1900000000&signature=',
		link('/room/1', inAnHour(), 'guessed'),
		link('/room/1', inAnHour(), ''),
		good.replace('/room/1', '/room/2'),
		// Other channels for pathcast, whatever nginx takes them for.
		good.replace('/room/1', '//room/1'),
		good.replace('/room/1', '/x/../room/1'),
		link('/room/1', anHourAgo()).replace(/expires=[0-9]+/, `expires=${inAnHour()}`),
		good.replace(/=(.)([^=]*)$/, (_, first, rest) => `=${first === 'A' ? 'B' : 'A'}${rest}`),
	];
	for (const path of bad) await assert.rejects(subscribeOver(t, port, path, outside), /response: 403/, path);
	const subscriber = await subscribeOver(t, port, good, outside);
	for (const method of ['POST', 'PUT']) assert.equal((await client.ask(good, { method, body: 'lost', ...outside })).status, 403);
	assert.equal(await client.publish('/room/1', 'from inside'), 1);
	assert.equal(await subscriber.nextText(), 'from inside');
});
