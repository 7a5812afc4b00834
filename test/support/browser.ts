// Chromium, one for each test file. A page records everything that it should not do, such as requests to other servers.
import { after, type TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { needs } from './requirement.js';

const patienceMs = 15_000;
const executablePath = process.env.TEST_CHROMIUM ?? '/usr/bin/chromium';

/** The `skip` option of a test that opens pages. */
export const needsChromium = needs('Chromium', executablePath);

let browser: Promise<Browser> | undefined;
after(async () => (await browser)?.close());

export type OpenedPage = {
	readonly page: Page;
	/** Console output, errors, and requests to anything but the page's own server, or for an icon. */
	readonly complaints: string[];
};

/** Opens an address in a browser context of its own, without waiting for its websocket. */
export async function openPage(t: TestContext, url: string, options: BrowserContextOptions = {}): Promise<OpenedPage> {
	browser ??= chromium.launch({
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
	const context = await (await browser).newContext(options);
	t.after(() => context.close());
	const page = await context.newPage();
	page.setDefaultTimeout(patienceMs);
	const complaints: string[] = [];
	page.on('console', (message) => complaints.push(`console: ${message.text()}`));
	page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
	page.on('request', (request) => {
		const { origin, pathname, protocol } = new URL(request.url());
		if (protocol === 'data:') return;
		if (origin !== new URL(url).origin || pathname.endsWith('.ico')) complaints.push(`request: ${request.url()}`);
	});
	await page.goto(url);
	return { page, complaints };
}

/** Opens an address and waits until its page is subscribed. */
export async function openChannel(t: TestContext, url: string, options: BrowserContextOptions = {}): Promise<OpenedPage> {
	const opened = await openPage(t, url, options);
	await stateOf(opened.page, 'open');
	return opened;
}

export async function stateOf(page: Page, state: 'connecting' | 'open' | 'closed' | 'refused' | 'offline'): Promise<void> {
	await page.locator(`html[data-state=${state}]`).waitFor();
}

/** Sends a message by the page's own field. */
export async function send(page: Page, text: string): Promise<void> {
	await field(page).fill(text);
	await field(page).press('Enter');
}

export function field(page: Page) {
	return page.getByRole('textbox', { name: 'Message to everybody' });
}

/** The messages' texts, as shown. */
export function shownTexts(page: Page): Promise<string[]> {
	return page.locator('#messages li:not([hidden]) .body').allTextContents();
}

/** Waits until a message with that text is shown. */
export async function shows(page: Page, text: string): Promise<void> {
	await page.locator('#messages li:not([hidden])').filter({ hasText: text }).last().waitFor();
}

/** Waits until an expression is true in the page. (The page's policy forbids what waitForFunction does.) */
export async function becomesTrue(page: Page, expression: string): Promise<void> {
	const isTrue = page.evaluate(`new Promise((resolve) => {
		const look = () => ((${expression}) ? resolve() : requestAnimationFrame(look));
		look();
	})`);
	let impatience: NodeJS.Timeout | undefined;
	const isNever = new Promise((_, reject) => {
		impatience = setTimeout(() => reject(new Error(`it is never true that ${expression}`)), patienceMs);
	});
	await Promise.race([isTrue, isNever]).finally(() => clearTimeout(impatience));
}
