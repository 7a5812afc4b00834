// Pages of other origins, in a real browser: what they may publish, and what they learn of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsChromium, openPage } from '../support/browser.js';
import { post } from '../support/http.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { startSite } from '../support/site.js';
import { type Subscriber, subscribe } from '../support/subscriber.js';

/** What a page sees of a POST of `text`: status, subscribers and body, or that it failed. */
function postBy(url: string, text: string, init = ''): string {
	return `fetch(${JSON.stringify(url)}, { method: 'POST', body: ${JSON.stringify(text)}, ${init} }).then(
		async (answer) => [answer.status, answer.headers.get('X-Subscribers'), await answer.text()].join(' '),
		() => 'failed',
	)`;
}

/** Holds that just these messages were published, by publishing one more. */
async function received(server: TestServer, subscriber: Subscriber, ...texts: string[]): Promise<void> {
	await post(server.port, '/room', 'sentinel');
	assert.deepEqual(await subscriber.texts(texts.length + 1), [...texts, 'sentinel']);
}

test(
	'a page of an allowed origin publishes with and without cookies, each message once, and reads the answers',
	needsChromium,
	async (t) => {
		const origin = await startSite(t);
		const server = await startTestServer(t, '--origin', origin);
		const subscriber = await subscribe(t, server.ws('/room'));
		const url = `http://127.0.0.1:${server.port}/room`;
		const { page } = await openPage(t, `${origin}/`);
		for (const [text, init] of [
			['plain', ''],
			['with cookies', "credentials: 'include'"],
			['after a preflight', "headers: { 'Content-Type': 'application/json' }"],
			['after a preflight, with cookies', "headers: { 'Content-Type': 'application/json' }, credentials: 'include'"],
		] as const) {
			assert.equal(await page.evaluate(postBy(url, text, init)), '200 1 OK\n', text);
			await received(server, subscriber, text);
		}
		// A beacon of JSON sends cookies, after a preflight.
		const beacon = `navigator.sendBeacon(${JSON.stringify(url)}, new Blob(['{"beacon":1}'], { type: 'application/json' }))`;
		assert.equal(await page.evaluate(beacon), true);
		assert.equal(await subscriber.nextText(), '{"beacon":1}');
		await received(server, subscriber);
	},
);

test('a page of any other origin publishes nothing', needsChromium, async (t) => {
	const server = await startTestServer(t, '--origin', 'https://example.com');
	const subscriber = await subscribe(t, server.ws('/room'));
	const { page } = await openPage(t, `${await startSite(t)}/`);
	const url = `http://127.0.0.1:${server.port}/room`;
	for (const init of ['', "credentials: 'include'", "headers: { 'Content-Type': 'application/json' }"])
		assert.equal(await page.evaluate(postBy(url, 'x', init)), 'failed');
	await received(server, subscriber);
});

test('with `--origin null` a sandboxed frame publishes and reads the answer, but not with cookies', needsChromium, async (t) => {
	const server = await startTestServer(t, '--origin', 'null');
	const subscriber = await subscribe(t, server.ws('/room'));
	const { page } = await openPage(t, `${await startSite(t)}/`);
	const url = `http://127.0.0.1:${server.port}/room`;
	const inFrame = (text: string, init: string) =>
		page.evaluate(`new Promise((resolve) => {
			addEventListener('message', ({ data }) => resolve(data), { once: true });
			const frame = document.createElement('iframe');
			frame.sandbox = 'allow-scripts';
			frame.srcdoc = ${JSON.stringify(`<script>${postBy(url, text, init)}.then((seen) => parent.postMessage(seen, '*'))</script>`)};
			document.body.append(frame);
		})`);
	assert.equal(await inFrame('sandboxed', ''), '200 1 OK\n');
	await received(server, subscriber, 'sandboxed');
	// It is published, for it needs no preflight; the browser tells the page nothing.
	assert.equal(await inFrame('with cookies', "credentials: 'include'"), 'failed');
	await received(server, subscriber, 'with cookies');
});
