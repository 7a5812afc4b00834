import assert from 'node:assert/strict';
import { test } from 'node:test';
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
import { anyPort, runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { startGateway } from '../support/gateway.js';
import { post, request } from '../support/http.js';
import { pem } from '../support/pem.js';
import { metric, startTestServer } from '../support/server.js';

test('the page says why it was closed, counts down, and connects again when the server is back', needsChromium, async (t) => {
	const port = await freePort();
	const first = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await first.port();
	const { page } = await openChannel(t, `http://127.0.0.1:${port}/room`);
	first.child.kill('SIGTERM');
	await page.getByText('closed (1012, the server is restarting; connect again)').waitFor();
	await page.getByText(/^next try in \d+ s$/).waitFor();
	await first.ended;
	await page.getByText('closed (the server does not answer)').waitFor();
	await send(page, 'too early');
	await page.getByText('Not connected: not sent.').waitFor();
	assert.equal(await field(page).inputValue(), 'too early');
	const second = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await second.port();
	await stateOf(page, 'open');
	await post(port, '/room', 'after the restart');
	await shows(page, 'after the restart');
});

test('a page whose browser is offline connects at once when the network is back', needsChromium, async (t) => {
	const port = await freePort();
	const first = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await first.port();
	const { page } = await openChannel(t, `http://127.0.0.1:${port}/room`);
	// By itself it would wait for half a minute.
	await page.evaluate('Math.random = () => 30');
	await page.context().setOffline(true);
	first.child.kill('SIGTERM');
	await first.ended;
	await stateOf(page, 'offline');
	await page.getByText('tries again when the network is back').waitFor();
	const second = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await second.port();
	await page.context().setOffline(false);
	await stateOf(page, 'open');
	await post(port, '/room', 'back');
	await shows(page, 'back');
});

test('a page that was open while its browser was offline connects anew, and only once', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await page.context().setOffline(true);
	await becomesTrue(page, '!navigator.onLine');
	const isOnline = page.evaluate("new Promise((resolve) => addEventListener('online', () => setTimeout(resolve)))");
	await page.context().setOffline(false);
	await isOnline;
	await stateOf(page, 'open');
	await send(page, 'still here');
	await shows(page, 'still here');
	assert.equal(await metric(server, 'pathcast_connections_opened_total'), 2);
	assert.equal(await metric(server, 'pathcast_subscribers'), 1);
});

test('a page of an origin that is not allowed says so in the words of the server', needsChromium, async (t) => {
	const server = await startTestServer(t, '--origin', 'https://example.com');
	const { page } = await openPage(t, `http://127.0.0.1:${server.port}/room`);
	await stateOf(page, 'refused');
	await page.getByText('refused (403: Pages of this origin may not use this server (--origin).)').waitFor();
});

test('a page that finds no room says what it can tell, and comes in when there is some', needsChromium, async (t) => {
	const server = await startTestServer(t, '--max-subscribers', '1');
	const url = `http://127.0.0.1:${server.port}/room`;
	const first = await openChannel(t, url);
	const { page } = await openPage(t, url);
	await page.getByText(/^refused \(no websocket, though the server answers: it may be full/).waitFor();
	await first.page.close();
	await stateOf(page, 'open');
});

test("the text of a proxy's error page is cut, or said in other words", needsChromium, async (t) => {
	const server = await startTestServer(t, '--max-subscribers', '1');
	const url = `http://127.0.0.1:${server.port}/room`;
	await openChannel(t, url);
	for (const [answer, words] of [
		[{ status: 302, headers: { Location: 'https://login.example/' } }, 'a proxy leads elsewhere, perhaps to a login'],
		[{ status: 502, body: 'x'.repeat(100_000) }, `502: ${'x'.repeat(200)}`],
		[{ status: 502, body: '<html>' }, '502: Bad Gateway'],
	] as const) {
		const { page, complaints } = await openPage(t, 'about:blank');
		await page.route(url, (route) => (route.request().method() === 'POST' ? route.fulfill(answer) : route.continue()));
		await page.goto(url);
		await stateOf(page, 'refused');
		assert.equal(await page.locator('#state').textContent(), `refused (${words})`);
		assert.ok(!complaints.some((complaint) => /Security Policy|login/.test(complaint)), complaints.join('\n'));
	}
});

test('a channel that the operator closes is shown as closed with the reason', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
	await request(server.operatorPort, { method: 'DELETE', path: '/channels/room', body: 'bye' });
	await page.getByText('closed (1000, the channel was closed)').waitFor();
	assert.deepEqual(await shownTexts(page), ['bye']);
});

test('a connection that breaks off is told from one that is closed', needsChromium, async (t) => {
	const command = runCommand(t, anyPort);
	const port = await command.port();
	const { page } = await openChannel(t, `http://127.0.0.1:${port}/room`);
	// So that the words stand for half a minute.
	await page.evaluate('Math.random = () => 30');
	command.child.kill('SIGKILL');
	await page
		.getByText('closed (1006, the connection was lost; a subscriber that does not keep up is cut in the same way)')
		.waitFor();
});

test('the page connects at once when asked to', needsChromium, async (t) => {
	const port = await freePort();
	const first = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await first.port();
	// Every try but the first waits for half a minute.
	const { page } = await openChannel(t, `http://127.0.0.1:${port}/room`);
	await page.evaluate('Math.random = () => 30');
	first.child.kill('SIGTERM');
	await page.getByText('next try in 30 s').waitFor();
	await first.ended;
	const second = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await second.port();
	await page.getByRole('button', { name: 'Try now' }).click();
	await stateOf(page, 'open');
	assert.equal(await page.getByRole('button', { name: 'Try now' }).isVisible(), false);
});

test('each failure doubles the longest wait, up to 30 seconds, of which chance takes a part', needsChromium, async (t) => {
	const port = await freePort();
	const command = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await command.port();
	const { page } = await openPage(t, 'about:blank');
	await page.clock.install();
	await page.goto(`http://127.0.0.1:${port}/room`);
	await stateOf(page, 'open');
	await page.evaluate('Math.random = () => 1');
	// A second is soon over: the clock stands still, so that only the button tries again.
	await page.clock.pauseAt(Date.now() + 60_000);
	command.child.kill('SIGKILL');
	for (const [seconds, chance] of [
		[1, 1],
		[2, 1],
		[4, 1],
		[8, 1],
		[16, 1],
		[30, 1],
		[30, 0.5],
	]) {
		await page.getByText(`next try in ${seconds} s`, { exact: true }).waitFor();
		await page.evaluate(`Math.random = () => ${chance}`);
		await page.getByRole('button', { name: 'Try now' }).click();
	}
	await page.getByText('next try in 15 s', { exact: true }).waitFor();
});

test('the page keeps alive with an empty message every 30 seconds, which nobody sees', needsChromium, async (t) => {
	const server = await startTestServer(t, '--echo-keepalive');
	const { page } = await openPage(t, 'about:blank');
	await page.clock.install();
	await page.goto(`http://127.0.0.1:${server.port}/room`);
	await stateOf(page, 'open');
	for (const round of ['first', 'second']) {
		await page.clock.fastForward(30_000);
		// The keepalive was sent before this, and is answered before this comes back.
		await send(page, round);
		await page.clock.runFor(100);
		await shows(page, round);
	}
	assert.equal(await metric(server, 'pathcast_keepalives_total'), 2);
	assert.deepEqual(await shownTexts(page), ['first', 'second']);
});

test('the page works over TLS', needsChromium, async (t) => {
	const command = runCommand(t, [...anyPort, '--tls-cert', pem('valid.cert'), '--tls-key', pem('valid.key')]);
	const port = await command.port();
	const { page } = await openChannel(t, `https://127.0.0.1:${port}/room`, { ignoreHTTPSErrors: true });
	await send(page, 'over TLS');
	await shows(page, 'over TLS');
	const snippet = await page.locator('pre').nth(1).textContent();
	assert.ok(snippet?.startsWith(`const socket = new WebSocket("wss://127.0.0.1:${port}/room");`), snippet ?? '');
});

test('the page works where a proxy has it under a prefix', needsChromium, async (t) => {
	const server = await startTestServer(t);
	const port = await startGateway(t, server.port, (piece) => piece.replace(/^(GET|POST) \/push\//, '$1 /'));
	const { page } = await openChannel(t, `http://127.0.0.1:${port}/push/room`);
	assert.equal((await post(server.port, '/room', 'hello')).headers.get('x-subscribers'), '1');
	await shows(page, 'hello');
	await page.getByRole('button', { name: 'Count' }).click();
	await page.locator('#subscribers').getByText('1', { exact: true }).waitFor();
	await page.getByRole('textbox', { name: 'Path' }).fill('other');
	await page.getByRole('button', { name: 'Go' }).click();
	await page.getByRole('heading', { name: '/push/other' }).waitFor();
	await stateOf(page, 'open');
	assert.equal((await post(server.port, '/other', 'hello')).headers.get('x-subscribers'), '1');
});
