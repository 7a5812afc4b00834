// EventSource in a real browser: what its page gets, and when it connects again.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { needsChromium, openPage } from '../support/browser.js';
import { post, request } from '../support/http.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { startSite } from '../support/site.js';

/** Opens an EventSource in a page, which keeps what it hears in `heard`. */
async function listen(page: Page, url: string, withCredentials = false): Promise<void> {
	await page.evaluate(`{
		window.heard = [];
		window.source = new EventSource(${JSON.stringify(url)}, { withCredentials: ${withCredentials} });
		source.onopen = () => heard.push('open');
		source.onmessage = ({ data }) => heard.push(data);
		source.addEventListener('binary', ({ data }) => heard.push('binary ' + data));
		source.onerror = () => heard.push('error ' + source.readyState);
	}`);
}

/** Waits until the page has heard just that. */
async function hears(page: Page, ...heard: string[]): Promise<void> {
	// Not by waitForFunction, which the policy of the test page forbids.
	while (Number(await page.evaluate('heard.length')) < heard.length);
	assert.deepEqual(await page.evaluate('heard'), heard);
}

async function startRoom(t: TestContext, ...flags: string[]): Promise<{ server: TestServer; url: string }> {
	const server = await startTestServer(t, ...flags);
	return { server, url: `http://127.0.0.1:${server.port}/room` };
}

test(
	'an EventSource of the server itself gets each message as it was, and connects again when its stream was ended',
	needsChromium,
	async (t) => {
		const { server, url } = await startRoom(t, '--binary', '--origin', 'same_origin');
		const { page } = await openPage(t, `${url}/page`);
		const link = `document.querySelector('link[rel=alternate][type="text/event-stream"]').href`;
		assert.equal(await page.evaluate(link), `${url}/page`);
		await listen(page, url);
		await hears(page, 'open');
		const texts = [' a\n\nb: 漢😀\n', 'data: x', '\u2028\0', 'x'.repeat(65_536)];
		for (const text of texts) await post(server.port, '/room', text);
		await post(server.port, '/room', Buffer.from([0, 255]), { 'Content-Type': 'application/octet-stream' });
		await hears(page, 'open', ...texts, 'binary AP8=');
		await request(server.operatorPort, { method: 'DELETE', path: '/channels/room' });
		await hears(page, 'open', ...texts, 'binary AP8=', 'error 0', 'open');
		await post(server.port, '/room', 'again');
		await hears(page, 'open', ...texts, 'binary AP8=', 'error 0', 'open', 'again');
		await page.evaluate('source.close()');
		while ((await post(server.port, '/room', '')).headers.get('x-subscribers') !== '0');
	},
);

test(
	'an EventSource of an allowed origin gets messages, with and without cookies; one of another origin gets none',
	needsChromium,
	async (t) => {
		const site = await startSite(t);
		const { page } = await openPage(t, `${site}/`);
		const allowing = await startRoom(t, '--origin', site);
		for (const withCredentials of [false, true]) {
			await listen(page, allowing.url, withCredentials);
			await hears(page, 'open');
			await post(allowing.server.port, '/room', 'hello');
			await hears(page, 'open', 'hello');
			await page.evaluate('source.close()');
		}
		// Without --origin there are no CORS headers: the browser keeps the stream from its page.
		for (const flags of [['--origin', 'https://example.com'], []]) {
			const { url } = await startRoom(t, ...flags);
			await listen(page, url);
			await hears(page, 'error 2');
		}
	},
);
