import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
	becomesTrue,
	field,
	needsChromium,
	openChannel,
	openPage,
	send,
	shownTexts,
	shows,
	stateOf,
} from '../support/browser.js';
import { startGateway } from '../support/gateway.js';
import { post } from '../support/http.js';
import { metric, startTestServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const run = promisify(execFile);

test('the page subscribes to its own path, shows what comes, and sends', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page, complaints } = await openChannel(t, `http://127.0.0.1:${server.port}/room/1?x=1#here`);
	const other = await subscribe(t, server.ws('/room/1'));
	assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), '/room/1');

	assert.equal((await post(server.port, '/room/1', 'hello')).headers.get('x-subscribers'), '2');
	await shows(page, 'hello');
	assert.equal(await other.nextText(), 'hello');

	await send(page, 'from the page');
	assert.equal(await other.nextText(), 'from the page');
	await shows(page, 'from the page');
	assert.equal(await field(page).inputValue(), '');
	assert.deepEqual(complaints, []);
});

test('the commands that the page offers for a terminal publish to its channel, whatever its path', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const path = `/it's/$HOME/é "x" \`y\`?a='b'&c`;
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}${path}`);
	const command = await page.locator('pre').first().textContent();
	await run('/bin/sh', ['-c', `${command} --silent`], { timeout: 10_000 });
	await shows(page, 'hello');
	assert.equal(await page.locator('#hello code').textContent(), command);
});

test('the JavaScript that the page offers subscribes to its channel and sends', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/it's/"x"?a=1`);
	const code = await page.locator('pre').nth(1).textContent();
	await run(
		process.execPath,
		[
			'--input-type=module',
			'--eval',
			`import { WebSocket } from 'ws';\n${code}\nsocket.addEventListener('message', () => socket.close());`,
		],
		{
			timeout: 10_000,
		},
	);
	await shows(page, 'hello');
});

test('figures tell what came, how long an own message took, and who is there when asked', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await subscribe(t, server.ws('/room'));
	await post(server.port, '/room', 'é'.repeat(1_000));
	await send(page, 'mine');
	await shows(page, 'mine');
	await page.locator('#total').getByText('2', { exact: true }).waitFor();
	assert.match((await page.locator('#round-trip').textContent()) ?? '', /^\d+(\.\d)? ms$/);
	assert.deepEqual(await page.locator('.size').allTextContents(), ['2.0 KiB', '4 B']);
	assert.deepEqual(await page.locator('li.own .body').allTextContents(), ['mine']);
	const before = await metric(server, 'pathcast_messages_received_total{source="post"}');
	await page.getByRole('button', { name: 'Count' }).click();
	await page.locator('#subscribers').getByText('2', { exact: true }).waitFor();
	assert.equal(await metric(server, 'pathcast_messages_received_total{source="post"}'), before);
});

test(
	'the page goes to another channel and back without reloading, and offers the last ones visited',
	needsChromium,
	async (t) => {
		const server = await startTestServer(t);
		const { page, complaints } = await openChannel(t, `http://127.0.0.1:${server.port}/a/one?token=1`);
		await post(server.port, '/a/one', 'first');
		await shows(page, 'first');
		await page.evaluate('window.isSame = true');

		await page.getByRole('textbox', { name: 'Path' }).fill('two & 100%é');
		await page.getByRole('button', { name: 'Go' }).click();
		await page.getByRole('heading', { name: '/a/two & 100%é' }).waitFor();
		await stateOf(page, 'open');
		assert.deepEqual(await shownTexts(page), []);
		assert.equal(new URL(page.url()).search, '?token=1');
		const name = encodeURIComponent('two & 100%é');
		assert.equal((await post(server.port, `/a/${name}`, 'second')).headers.get('x-subscribers'), '1');
		await shows(page, 'second');
		assert.equal((await post(server.port, '/a/one', 'nobody is left')).headers.get('x-subscribers'), '0');

		await page.goBack();
		await page.getByRole('heading', { name: '/a/one' }).waitFor();
		await stateOf(page, 'open');
		await page.getByRole('list', { name: 'Last visited' }).getByRole('link', { name: '/a/two & 100%é' }).click();
		await page.getByRole('heading', { name: '/a/two & 100%é' }).waitFor();
		await stateOf(page, 'open');
		assert.equal(await page.evaluate('window.isSame'), true);
		assert.deepEqual(complaints, []);
	},
);

test('the last ones visited lead to channels of this server, whatever the storage or a path holds', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const origin = `http://127.0.0.1:${server.port}`;
	const { page, complaints } = await openChannel(t, `${origin}//evil.example/x`);
	const stored = ['javascript:alert(1)', '/\\evil.example', '/\t/evil.example', '//evil.example/', 7, null, ...'abcdefghij'];
	await page.evaluate(`localStorage.setItem('pathcast.recent', ${JSON.stringify(JSON.stringify(stored))})`);
	await page.getByRole('textbox', { name: 'Path' }).fill('/room');
	await page.getByRole('button', { name: 'Go' }).click();
	await page.getByRole('heading', { name: '/room' }).waitFor();
	const hrefs = await page.evaluate("[...document.querySelectorAll('#recent a')].map(({ href }) => href)");
	assert.deepEqual(hrefs, [`${origin}//evil.example`, `${origin}//evil.example`, `${origin}//evil.example/`]);
	await page.getByRole('link', { name: '//evil.example/' }).click();
	await page.getByRole('heading', { name: '//evil.example/' }).waitFor();
	await stateOf(page, 'open');
	assert.equal(new URL(page.url()).origin, origin);
	assert.deepEqual(complaints, []);
});

test('the field sends with Enter, begins a line with Shift+Enter, and recalls with the arrows', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	const other = await subscribe(t, server.ws('/room'));
	await send(page, 'first');
	await page.keyboard.type('second');
	await page.keyboard.press('Shift+Enter');
	await page.keyboard.type('line');
	await page.keyboard.press('Enter');
	assert.deepEqual([await other.nextText(), await other.nextText()], ['first', 'second\nline']);
	await page.keyboard.press('ArrowUp');
	assert.equal(await field(page).inputValue(), 'second\nline');
	await page.keyboard.press('ArrowUp');
	assert.equal(await field(page).inputValue(), 'first');
	await page.keyboard.press('Enter');
	assert.equal(await other.nextText(), 'first');
	// Nothing empty is sent.
	await page.keyboard.press('Enter');
	await send(page, 'last');
	assert.equal(await other.nextText(), 'last');
});

test('the arrows lead through what was sent and back to what was being written', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	for (const text of ['first', 'second', 'third']) await send(page, text);
	await page.keyboard.type('draft');
	await page.keyboard.press('Home');
	const seen: string[] = [];
	for (const key of ['ArrowUp', 'ArrowUp', 'ArrowUp', 'ArrowUp', 'ArrowDown', 'ArrowDown', 'ArrowDown', 'ArrowDown']) {
		await page.keyboard.press(key);
		seen.push(await field(page).inputValue());
	}
	// The fourth finds nothing older; the fifth takes the caret to the end, where the arrow down begins to lead.
	assert.deepEqual(seen, ['third', 'second', 'first', 'first', 'first', 'second', 'third', 'draft']);
});

test('a message over the limit is not sent, and the field says how much too long it is', needsChromium, async (t) => {
	const server = await startTestServer(t, '--max-message', '100');
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await send(page, 'é'.repeat(51));
	await page.getByText('2 B too long: the server takes 100 bytes (--max-message).').waitFor();
	assert.equal(await field(page).getAttribute('aria-invalid'), 'true');
	await send(page, 'é'.repeat(50));
	await shows(page, 'é'.repeat(50));
	assert.deepEqual(await shownTexts(page), ['é'.repeat(50)]);
	assert.equal(await page.locator('#advice').textContent(), '');
});

test('a server that takes no messages from websockets has its page say so', needsChromium, async (t) => {
	const server = await startTestServer(t, '--client-publish', 'none');
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await page.getByText('This server takes messages by POST only (--client-publish none).').waitFor();
	assert.equal(await field(page).isDisabled(), true);
	await post(server.port, '/room', 'by POST');
	await shows(page, 'by POST');
});

test(
	'a server that takes no POST has its page offer none, and not take the answer to one for a reason',
	needsChromium,
	async (t) => {
		const server = await startTestServer(t, '--post', 'admin', '--max-subscribers', '1');
		const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
		await page.getByText('Nothing yet.').waitFor();
		assert.equal(await page.getByText('curl -d').filter({ visible: true }).count(), 0);
		assert.equal(await page.getByText('urlopen').filter({ visible: true }).count(), 0);
		assert.equal(await page.getByText('from a terminal').isVisible(), false);
		assert.equal(await page.getByRole('button', { name: 'Count' }).isVisible(), false);
		await send(page, 'by websocket');
		await shows(page, 'by websocket');
		const second = await openPage(t, `http://127.0.0.1:${server.port}/room`);
		await second.page.getByText(/^refused \(no websocket, though the server answers; it takes no POST/).waitFor();

		const closed = await startTestServer(t, '--post', 'admin', '--client-publish', 'none');
		const third = await openChannel(t, `http://127.0.0.1:${closed.port}/room`);
		await third.page.getByText('Only the operator of this server publishes (--client-publish none, --post admin).').waitFor();
	},
);

test('own messages are known again, though one was no proper text when it was typed', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await page.evaluate("document.querySelector('#text').value = '\\ud83d😀'");
	await field(page).press('Enter');
	await send(page, 'next');
	await shows(page, 'next');
	assert.deepEqual(await page.locator('li.own .body').allTextContents(), ['\ufffd😀', 'next']);
});

test('figures and the count of one channel do not show up on the next', needsChromium, async (t) => {
	const server = await startTestServer(t);
	let letGo = () => {};
	const port = await startGateway(t, server.port, (piece) => {
		if (!piece.startsWith('POST /one')) return piece;
		return new Promise((resolve) => {
			letGo = () => resolve(piece);
		});
	});
	const { page } = await openPage(t, 'about:blank');
	await page.clock.install();
	await page.goto(`http://127.0.0.1:${port}/one`);
	await stateOf(page, 'open');
	await page.clock.pauseAt(Date.now() + 60_000);
	const asked = page.waitForRequest((request) => request.method() === 'POST');
	await page.getByRole('button', { name: 'Count' }).click();
	const answered = (await asked).response();
	await post(server.port, '/one', 'counted');
	// The page shows what has come when its clock goes on, which may be before the message.
	do await page.clock.runFor(100);
	while ((await page.locator('#messages li').filter({ hasText: 'counted' }).count()) === 0);
	await page.getByRole('textbox', { name: 'Path' }).fill('/two');
	await page.getByRole('button', { name: 'Go' }).click();
	await page.getByRole('heading', { name: '/two' }).waitFor();
	assert.equal(await page.locator('#message-rate').textContent(), '0');
	letGo();
	await (await answered)?.finished();
	// What is asked after that is answered after that.
	await page.evaluate("fetch('/two', { method: 'POST', body: '' }).then((answer) => answer.text())");
	assert.equal(await page.locator('#subscribers').textContent(), '–');
});

test('a page that nobody looks at counts what comes in its title', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	const look = (isHidden: boolean) =>
		page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true });
			document.dispatchEvent(new Event('visibilitychange'));`);
	await look(true);
	await post(server.port, '/room', 'one');
	await post(server.port, '/room', 'two');
	await becomesTrue(page, "document.title === '(2) /room – pathcast'");
	await look(false);
	assert.equal(await page.title(), '/room – pathcast');
});
