import assert from 'node:assert/strict';
import { test } from 'node:test';
import { becomesTrue, needsChromium, openChannel, send, shows, stateOf } from '../support/browser.js';
import { post } from '../support/http.js';
import { needsRedis, startRedis } from '../support/redis.js';
import { startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const skip = needsChromium.skip || needsRedis.skip;

test('the test page of one node shows what another node publishes, and on how many nodes a channel is', { skip }, async (t) => {
	const redis = await startRedis(t);
	const [a, b] = [await startTestServer(t, '--relay', redis.url), await startTestServer(t, '--relay', redis.url)];
	const other = await subscribe(t, b.ws('/room/1'));
	const { page, complaints } = await openChannel(t, `http://127.0.0.1:${a.port}/room/1`);
	await post(b.port, '/room/1', 'from the other node');
	await shows(page, 'from the other node');
	assert.equal(await other.nextText(), 'from the other node');
	await send(page, 'from the page');
	assert.equal(await other.nextText(), 'from the page');
	await shows(page, 'from the page');
	const count = page.getByRole('button', { name: 'Count' });
	await count.click();
	await becomesTrue(page, "document.getElementById('subscribers').textContent === 'on 2 nodes'");
	assert.deepEqual(complaints, []);
});

test('the test page connects again by itself when the relay was lost', { skip }, async (t) => {
	const redis = await startRedis(t);
	const server = await startTestServer(t, '--relay', redis.url);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room/1`);
	await redis.kill();
	await stateOf(page, 'refused');
	await redis.start();
	await stateOf(page, 'open');
	await post(server.port, '/room/1', 'again');
	await shows(page, 'again');
});
