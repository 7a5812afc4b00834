import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { becomesTrue, needsChromium, openChannel, shownTexts, shows } from '../support/browser.js';
import { post } from '../support/http.js';
import { startTestServer } from '../support/server.js';

const hostile = [
	'<script>document.title = "owned"</script>',
	'<img src=x onerror="document.title = \'owned\'">',
	'"\'`&lt;&amp;</style></script></li>',
	'\u202eright to left',
	'a\u200bb\u0000c\u001b[31md',
	'😀 '.repeat(10),
];

test('whatever a path or a message contains, the page shows it as text', needsChromium, async (t) => {
	const server = await startTestServer(t);
	for (const name of [
		'<script>document.title = "owned"<',
		'<img src=x onerror=alert(1)>',
		'%25',
		'"\'`',
		'\u202e',
		'😀',
		'</script>',
	]) {
		const path = `/${encodeURIComponent(name)}`;
		const { page, complaints } = await openChannel(t, `http://127.0.0.1:${server.port}${path}`);
		assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), `/${name}`);
		for (const text of hostile) await post(server.port, path, text);
		await page
			.locator('#messages li')
			.nth(hostile.length - 1)
			.waitFor();
		assert.deepEqual(await shownTexts(page), hostile);
		assert.equal(await page.title(), `/${name} – pathcast`);
		assert.deepEqual(complaints, []);
		await page.close();
	}
});

test('a long message shows its beginning, and all of it when asked, without widening the page', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`, { viewport: { width: 360, height: 640 } });
	const long = 'x'.repeat(65_536);
	await post(server.port, '/room', long);
	await page.getByText('… 64536 more characters').waitFor();
	assert.deepEqual(await shownTexts(page), [long.slice(0, 1_000)]);
	await page.locator('#messages li').hover();
	await page.getByRole('button', { name: 'Show all' }).click();
	assert.deepEqual(await shownTexts(page), [long]);
	assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
});

test('a message of many lines shows the first thirty, so that a flood of them can be laid out', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await post(server.port, '/room', '\n'.repeat(1_000));
	await page.getByText('… 971 more characters').waitFor();
	assert.deepEqual(await shownTexts(page), ['\n'.repeat(29)]);
	await page.locator('#messages li').hover();
	await page.getByRole('button', { name: 'Show all' }).click();
	assert.deepEqual(await shownTexts(page), ['\n'.repeat(1_000)]);
});

test('JSON is indented on demand, and a message is copied as it came', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`, {
		permissions: ['clipboard-read', 'clipboard-write'],
	});
	const json = '{"user":"ada","tags":["<b>",1]}';
	await post(server.port, '/room', 'no JSON');
	await post(server.port, '/room', json);
	await shows(page, json);
	await page.locator('#messages li').first().hover();
	assert.equal(await page.getByRole('button', { name: 'Indent' }).isVisible(), false);
	await page.locator('#messages li').last().hover();
	await page.getByRole('button', { name: 'Indent' }).click();
	assert.equal((await shownTexts(page))[1], JSON.stringify(JSON.parse(json), undefined, 2));
	await page.getByRole('button', { name: 'Copy the message' }).click();
	await page.getByText('Copied').waitFor();
	assert.equal(await page.evaluate('navigator.clipboard.readText()'), json);
	await page.getByRole('button', { name: 'Indent' }).click();
	assert.equal((await shownTexts(page))[1], json);
	const snippets = await page.locator('figure').all();
	assert.equal(snippets.length, 6);
	for (const snippet of snippets) {
		await snippet.getByRole('button', { name: 'Copy the snippet' }).click();
		await snippet.getByText('Copied').waitFor();
		assert.equal(await page.evaluate('navigator.clipboard.readText()'), await snippet.locator('pre').textContent());
	}
});

test('binary messages are shown as hexadecimal', needsChromium, async (t) => {
	const server = await startTestServer(t, '--binary');
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	const bytes = Buffer.from([0, 1, 0x7f, 0x80, 0xff, ...Buffer.from('pathcast <b>!')]);
	await post(server.port, '/room', bytes, { 'Content-Type': 'application/octet-stream' });
	await page.locator('#messages li').waitFor();
	assert.deepEqual(await shownTexts(page), [
		'0000  00 01 7f 80 ff 70 61 74 68 63 61 73 74 20 3c 62  .....pathcast <b\n' +
			'0010  3e 21                                            >!',
	]);
	assert.deepEqual(await page.locator('.size').allTextContents(), ['18 B']);
});

test('the list keeps the last thousand messages', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	for (let i = 0; i < 1_100; i++) await post(server.port, '/room', `number ${i}.`);
	await shows(page, 'number 1099.');
	const texts = await shownTexts(page);
	assert.deepEqual([texts.length, texts[0], texts[999]], [1_000, 'number 100.', 'number 1099.']);
});

test('of long messages the list keeps 16 MiB, paused or not', needsChromium, async (t) => {
	const server = await startTestServer(t, '--max-message', '1MiB');
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	const long = (i: number) => `number ${i}.`.padEnd(1_048_576, 'x');
	const firsts = async () => (await shownTexts(page)).map((text) => text.slice(0, text.indexOf('.')));
	// One at a time: a browser that does not keep up would be cut.
	for (let i = 0; i < 20; i++) {
		await post(server.port, '/room', long(i));
		await shows(page, `number ${i}.`);
	}
	const expected = Array.from({ length: 16 }, (_, i) => `number ${i + 4}`);
	assert.deepEqual(await firsts(), expected);
	await page.getByRole('button', { name: 'Clear' }).click();
	await page.getByRole('button', { name: 'Pause' }).click();
	for (let i = 0; i < 20; i++) {
		await post(server.port, '/room', long(i));
		await page.getByText(`Resume (${i + 1} new)`).waitFor();
	}
	await page.getByText('Resume (20 new)').click();
	assert.deepEqual(await firsts(), expected);
});

test(
	'the newest message is in view, unless the reader has scrolled up: then the page says how many are new',
	needsChromium,
	async (t) => {
		const server = await startTestServer(t);
		const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
		for (let i = 0; i < 100; i++) await post(server.port, '/room', `number ${i}.`);
		await shows(page, 'number 99.');
		assert.ok(await isInView(page, 'number 99.'));

		await page.locator('#messages').hover();
		await page.mouse.wheel(0, -500);
		await becomesTrue(
			page,
			"document.querySelector('#messages').scrollTop + document.querySelector('#messages').clientHeight < document.querySelector('#messages').scrollHeight - 400",
		);
		const place = await page.evaluate("document.querySelector('#messages').scrollTop");
		for (let i = 100; i < 112; i++) await post(server.port, '/room', `number ${i}.`);
		await page.getByRole('button', { name: '12 new' }).click();
		assert.ok(await isInView(page, 'number 111.'));
		assert.notEqual(await page.evaluate("document.querySelector('#messages').scrollTop"), place);
		assert.equal(await page.locator('#newer').isVisible(), false);
	},
);

test(
	'the smallest step up stops the list from following, so that a touchpad gets away from a flood',
	needsChromium,
	async (t) => {
		const server = await startTestServer(t);
		const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
		for (let i = 0; i < 100; i++) await post(server.port, '/room', `number ${i}.`);
		await shows(page, 'number 99.');
		await page.locator('#messages').hover();
		await page.mouse.wheel(0, -4);
		await becomesTrue(
			page,
			"document.querySelector('#messages').scrollTop + document.querySelector('#messages').clientHeight <= document.querySelector('#messages').scrollHeight - 4",
		);
		await post(server.port, '/room', 'number 100.');
		await page.getByRole('button', { name: '1 new' }).waitFor();
		await page.mouse.wheel(0, 1_000);
		await page.getByRole('button', { name: '1 new' }).waitFor({ state: 'hidden' });
		await post(server.port, '/room', 'number 101.');
		await shows(page, 'number 101.');
		assert.ok(await isInView(page, 'number 101.'));
	},
);

test(
	'under a filter that leaves no more than there is room for, what comes is in view and not counted as new',
	needsChromium,
	async (t) => {
		const server = await startTestServer(t);
		const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
		for (let i = 0; i < 100; i++) await post(server.port, '/room', `number ${i}.`);
		await shows(page, 'number 99.');
		await page.evaluate("document.querySelector('#messages').scrollTop = 0");
		await page.evaluate('new Promise((resolve) => requestAnimationFrame(resolve))');
		await post(server.port, '/room', 'number 100.');
		await page.getByRole('button', { name: '1 new' }).waitFor();
		await page.getByRole('searchbox', { name: 'Filter' }).fill('number 10');
		await page.getByRole('button', { name: '1 new' }).waitFor({ state: 'hidden' });
		await post(server.port, '/room', 'number 1000.');
		await page.getByText('3 of 102').waitFor();
		assert.equal(await page.locator('#newer').isVisible(), false);
		await page.getByRole('searchbox', { name: 'Filter' }).fill('');
		assert.ok(await isInView(page, 'number 1000.'));
	},
);

test('the focus stays in the list when a flood takes away the message that has it', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await post(server.port, '/room', 'read.');
	await shows(page, 'read.');
	await page.locator('#messages').focus();
	await page.keyboard.press('End');
	await page.getByRole('button', { name: 'Copy the message' }).focus();
	for (let i = 0; i < 1_000; i++) await post(server.port, '/room', `number ${i}.`);
	await shows(page, 'number 999.');
	assert.equal(await page.evaluate('document.activeElement.id'), 'messages');
});

test('a screen reader is told of no message that the filter hides', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await page.getByRole('searchbox', { name: 'Filter' }).fill('apple');
	for (const text of ['an apple', 'two apples', 'a pear']) await post(server.port, '/room', text);
	await page.getByText('two apples and 1 before it').waitFor({ state: 'attached' });
});

test('a paused list waits and counts, a cleared one is empty', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await post(server.port, '/room', 'before');
	await shows(page, 'before');
	await page.getByRole('button', { name: 'Pause' }).click();
	for (let i = 0; i < 3; i++) await post(server.port, '/room', `number ${i}.`);
	await page.getByRole('button', { name: 'Resume (3 new)' }).waitFor();
	assert.deepEqual(await shownTexts(page), ['before']);
	await page.getByRole('button', { name: 'Resume (3 new)' }).click();
	assert.deepEqual(await shownTexts(page), ['before', 'number 0.', 'number 1.', 'number 2.']);
	await page.getByRole('button', { name: 'Clear' }).click();
	assert.deepEqual(await shownTexts(page), []);
	await page.getByText('Nothing yet.').waitFor();
	await post(server.port, '/room', 'after');
	await shows(page, 'after');
});

test('a list that is paused for long counts all that came, and keeps the last thousand', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await page.getByRole('button', { name: 'Pause' }).click();
	for (let i = 0; i < 1_002; i++) await post(server.port, '/room', `number ${i}.`);
	await page.getByRole('button', { name: 'Resume (1,002 new)' }).click();
	const texts = await shownTexts(page);
	assert.deepEqual([texts.length, texts[0]], [1_000, 'number 2.']);
});

test('a filter shows the messages that hold its text in any case, those to come too', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	for (const text of ['Apple', 'pear', 'pineapple']) await post(server.port, '/room', text);
	await shows(page, 'pineapple');
	await page.getByRole('searchbox', { name: 'Filter' }).fill('aPPle');
	await page.getByText('2 of 3').waitFor();
	for (const text of ['plum', 'an apple']) await post(server.port, '/room', text);
	await page.getByText('3 of 5').waitFor();
	assert.deepEqual(await shownTexts(page), ['Apple', 'pineapple', 'an apple']);
	await page.getByRole('searchbox', { name: 'Filter' }).fill('');
	assert.deepEqual(await shownTexts(page), ['Apple', 'pear', 'pineapple', 'plum', 'an apple']);
});

test('nothing moves while messages pour in', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await page.evaluate(`window.shifts = [];
		new PerformanceObserver((list) => {
			for (const entry of list.getEntries())
				for (const { node } of entry.sources) if (!node?.parentElement?.closest('#messages')) window.shifts.push(node?.outerHTML ?? 'gone');
		}).observe({ type: 'layout-shift', buffered: true });`);
	const outside = () =>
		page.evaluate(
			`[...document.querySelectorAll('header, .bar, .stream, form, aside, section')].map((element) => JSON.stringify(element.getBoundingClientRect()))`,
		);
	const before = await outside();
	for (let i = 0; i < 300; i++) await post(server.port, '/room', `number ${i} ${'x'.repeat(10 * i)}`);
	await shows(page, 'number 299 ');
	await page.locator('#total').getByText('300', { exact: true }).waitFor();
	assert.deepEqual(await outside(), before);
	assert.deepEqual(await page.evaluate('window.shifts'), []);
});

async function isInView(page: Page, text: string): Promise<boolean> {
	const list = await page.locator('#messages').boundingBox();
	const line = await page.locator('#messages li').filter({ hasText: text }).boundingBox();
	if (list === null || line === null) return false;
	return line.y >= list.y - 1 && line.y + line.height <= list.y + list.height + 1;
}
