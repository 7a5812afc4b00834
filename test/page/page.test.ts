import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { post } from '../support/http.js';
import { needs } from '../support/requirement.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const executablePath = process.env.TEST_CHROMIUM ?? '/usr/bin/chromium';
const needsChromium = needs('Chromium', executablePath);

async function openBrowser(t: TestContext): Promise<BrowserContext> {
	let browser: BrowserContext | undefined;
	// Before its profile is removed.
	t.after(() => browser?.close());
	browser = await chromium.launchPersistentContext(temporaryFolder(t), {
		executablePath,
		headless: true,
		args: [
			'--no-sandbox',
			'--disable-gpu',
			'--disable-quic',
			'--no-first-run',
			'--disable-background-networking',
			'--disable-component-update',
			'--disable-sync',
		],
	});
	return browser;
}

/** Opens a page and gives it with everything that it should not do: console output, errors, requests elsewhere. */
async function openPage(browser: BrowserContext, url: string): Promise<{ page: Page; complaints: string[] }> {
	const page = await browser.newPage();
	const complaints: string[] = [];
	page.on('console', (message) => complaints.push(`console: ${message.text()}`));
	page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
	page.on('request', (request) => {
		if (request.url() !== url.replace(/#.*/, '')) complaints.push(`request: ${request.url()}`);
	});
	await page.goto(url);
	await page.getByText('subscribed', { exact: true }).waitFor();
	return { page, complaints };
}

test('the page subscribes to its own path, shows what comes, and sends', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const browser = await openBrowser(t);
	const { page, complaints } = await openPage(browser, `http://127.0.0.1:${server.port}/room/1?x=1#here`);
	const other = await subscribe(t, server.ws('/room/1'));
	assert.equal(await page.getByRole('heading').textContent(), '/room/1');

	assert.equal((await post(server.port, '/room/1', 'hello')).headers.get('x-subscribers'), '2');
	await page.getByRole('listitem').filter({ hasText: 'hello' }).waitFor();
	assert.equal(await other.nextText(), 'hello');

	await page.getByRole('textbox').fill('from the page');
	await page.getByRole('textbox').press('Enter');
	assert.equal(await other.nextText(), 'from the page');
	await page.getByRole('listitem').filter({ hasText: 'from the page' }).waitFor();
	assert.equal(await page.getByRole('textbox').inputValue(), '');
	assert.deepEqual(complaints, []);
});

test('whatever a path or a message contains, the page shows it as text', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const browser = await openBrowser(t);
	const hostile = [
		'<script>document.title = "owned"</script>',
		'<img src=x onerror="document.title = \'owned\'">',
		'"\'`&lt;&amp;</style></script></li>',
		'\u202eright to left',
		'a\u200bb\u0000c\u001b[31md',
		'😀 '.repeat(10),
		'x'.repeat(60_000),
	];
	for (const name of ['<script>document.title = "owned"<', '<img src=x onerror=alert(1)>', '%25', '"\'`', '\u202e', '😀']) {
		const { page, complaints } = await openPage(browser, `http://127.0.0.1:${server.port}/${encodeURIComponent(name)}`);
		assert.equal(await page.getByRole('heading').textContent(), `/${name}`);
		for (const text of hostile) await post(server.port, `/${encodeURIComponent(name)}`, text);
		await page
			.locator('li')
			.nth(hostile.length - 1)
			.waitFor();
		assert.deepEqual(await page.locator('li').allTextContents(), hostile);
		assert.equal(await page.title(), `/${name} – pathcast`);
		assert.deepEqual(complaints, []);
		await page.close();
	}
});

test('the page connects again by itself when the server is back', needsChromium, async (t) => {
	const browser = await openBrowser(t);
	const port = await freePort();
	const first = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await first.port();
	const { page } = await openPage(browser, `http://127.0.0.1:${port}/room`);
	first.child.kill('SIGTERM');
	await page.getByText('closed (1012, the server is restarting; connect again)').waitFor();
	await first.ended;
	const second = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await second.port();
	await page.getByText('subscribed', { exact: true }).waitFor();
	await post(port, '/room', 'after the restart');
	await page.getByText('after the restart').waitFor();
});

test('the page keeps alive with an empty message every 30 seconds, which nobody sees', needsChromium, async (t) => {
	const server = await startTestServer(t, '--echo-keepalive');
	const browser = await openBrowser(t);
	const page = await browser.newPage();
	await page.clock.install();
	await page.goto(`http://127.0.0.1:${server.port}/room`);
	await page.getByText('subscribed', { exact: true }).waitFor();
	for (const round of ['first', 'second']) {
		await page.clock.fastForward(30_000);
		// The keepalive was sent before this, and is answered before this comes back.
		await page.getByRole('textbox').fill(round);
		await page.getByRole('textbox').press('Enter');
		await page.getByRole('listitem').filter({ hasText: round }).waitFor();
	}
	assert.equal(await metric(server, 'pathcast_keepalives_total'), 2);
	assert.deepEqual(await page.locator('li').allTextContents(), ['first', 'second']);
});
