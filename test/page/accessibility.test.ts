import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { field, needsChromium, openChannel, send, shownTexts, shows, stateOf } from '../support/browser.js';
import { post } from '../support/http.js';
import { startTestServer } from '../support/server.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

type AxeRun = { violations: { id: string; nodes: { html: string; failureSummary: string }[] }[]; passes: unknown[] };

for (const colorScheme of ['light', 'dark'] as const) {
	for (const [width, height] of [
		[360, 740],
		[1_280, 800],
		[2_560, 1_300],
	] as const) {
		test(
			`axe finds nothing to object to, ${colorScheme}, ${width} pixels wide, and nothing is wider`,
			needsChromium,
			async (t) => {
				const server = await startTestServer(t);
				// The policy forbids axe too.
				const options = { colorScheme, viewport: { width, height }, bypassCSP: true };
				const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room/${'long'.repeat(40)}`, options);
				await post(server.port, `/room/${'long'.repeat(40)}`, '{"some":"json"}');
				await send(page, 'mine');
				await shows(page, 'mine');
				await page.locator('#messages li').first().hover();
				for (const state of ['open', 'closed'] as const) {
					if (state === 'closed') await server.stop();
					await stateOf(page, state);
					const { violations, passes } = await page.evaluate<AxeRun>(
						`${axe}; axe.run(document, { resultTypes: ['violations'] })`,
					);
					const found = violations.map(({ id, nodes }) => [
						id,
						...nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`),
					]);
					assert.deepEqual(found, [], state);
					assert.ok(passes.length > 20);
					assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width);
				}
			},
		);
	}
}

test('with forced colours own messages still differ from others', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`, { forcedColors: 'active' });
	await post(server.port, '/room', 'theirs');
	await send(page, 'mine');
	await shows(page, 'mine');
	const colours = await page.evaluate<string[]>(
		"[...document.querySelectorAll('#messages li')].map((line) => getComputedStyle(line).borderLeftColor)",
	);
	assert.equal(new Set(colours).size, 2, colours.join());
});

test('a path of any length leaves the words of an empty list in view', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const options = { viewport: { width: 360, height: 640 } };
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/${'ä'.repeat(254)}`, options);
	const words = await page.getByText('Nothing yet.').boundingBox();
	const list = await page.locator('.stream').boundingBox();
	assert.ok(words !== null && list !== null && words.y > list.y, `${words?.y} ${list?.y}`);
});

test('everything can be done with the keyboard alone', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`, {
		permissions: ['clipboard-read', 'clipboard-write'],
	});
	const { keyboard } = page;
	// The field has the focus to begin with.
	for (const text of ['first', '{"a":1}', 'third']) {
		await keyboard.type(text);
		await keyboard.press('Enter');
		await shows(page, text);
	}
	const focused = () => page.evaluate<string>("document.activeElement.ariaLabel ?? document.activeElement.id ?? ''");
	await keyboard.press('Shift+Tab');
	assert.match(await focused(), /^Messages/);
	await keyboard.press('ArrowUp');
	await keyboard.press('ArrowUp');
	await keyboard.press('Tab');
	await keyboard.press('Enter');
	assert.deepEqual(await shownTexts(page), ['first', '{\n  "a": 1\n}', 'third']);
	await keyboard.press('Tab');
	assert.equal(await focused(), 'Copy the message');
	await keyboard.press('Enter');
	await page.getByText('Copied').waitFor();
	assert.equal(await page.evaluate('navigator.clipboard.readText()'), '{"a":1}');
	await keyboard.press('Home');
	assert.equal(await page.evaluate("document.activeElement.querySelector('.body').textContent"), 'first');

	// From the list backwards: clear, pause, filter.
	await page.locator('#messages').focus();
	await keyboard.press('Shift+Tab');
	await keyboard.press('Space');
	assert.deepEqual(await shownTexts(page), []);
	await keyboard.press('Shift+Tab');
	await keyboard.press('Space');
	assert.equal(await page.getByRole('button', { name: 'Resume' }).getAttribute('aria-pressed'), 'true');
	await keyboard.press('Space');
	await keyboard.press('Shift+Tab');
	assert.equal(await focused(), 'filter');

	// And forwards from the field, past everything, to the path.
	await field(page).focus();
	const seen: string[] = [];
	while (seen.at(-1) !== 'path' && seen.length < 30) {
		await keyboard.press('Tab');
		seen.push(await focused());
	}
	assert.equal(seen.at(-1), 'path', seen.join());
	await keyboard.press('Control+A');
	await keyboard.type('/other');
	await keyboard.press('Enter');
	await page.getByRole('heading', { name: '/other' }).waitFor();
	await stateOf(page, 'open');
});

test('a screen reader hears of what came at most every five seconds, the state once', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await page.evaluate(`window.said = [];
		for (const id of ['announced', 'state'])
			new MutationObserver(() => window.said.push(document.getElementById(id).textContent)).observe(document.getElementById(id), { childList: true });`);
	for (let i = 0; i < 200; i++) await post(server.port, '/room', `number ${i}.`);
	await page.getByText('number 199. and 199 before it').waitFor({ state: 'attached' });
	assert.deepEqual(await page.evaluate('window.said'), ['number 199. and 199 before it']);
});
