import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsChromium, openPage, send, shows, stateOf } from '../support/browser.js';
import { runCommand } from '../support/command.js';
import { freePort } from '../support/free-port.js';
import { startGateway } from '../support/gateway.js';
import { post } from '../support/http.js';
import { metric, startTestServer } from '../support/server.js';

const isUpgrade = (piece: string) => /^upgrade: websocket/im.test(piece);

test('late answers to what the page asked after two failures lead to one websocket, not to two', needsChromium, async (t) => {
	const server = await startTestServer(t);
	let isCutting = true;
	const held: (() => void)[] = [];
	let heldTwo = () => {};
	const bothHeld = new Promise<void>((resolve) => {
		heldTwo = resolve;
	});
	const port = await startGateway(t, server.port, (piece) => {
		if (isUpgrade(piece)) return isCutting ? undefined : piece;
		if (!piece.startsWith('POST') || !isCutting) return piece;
		return new Promise((resolve) => {
			held.push(() => resolve(piece));
			if (held.length === 2) heldTwo();
		});
	});
	const { page } = await openPage(t, 'about:blank');
	await page.clock.install();
	const hasAsked = page.waitForRequest((request) => request.method() === 'POST');
	await page.goto(`http://127.0.0.1:${port}/room`);
	await hasAsked;
	await page.evaluate("dispatchEvent(new Event('online'))");
	await bothHeld;
	isCutting = false;
	// The first answer would have it wait for longer than the second.
	await page.evaluate('let calls = 0; Math.random = () => (calls++ === 0 ? 1 : 0)');
	for (const letGo of held) letGo();
	await stateOf(page, 'refused');
	// Longer than both would have waited.
	await page.clock.runFor(10_000);
	await stateOf(page, 'open');
	await send(page, 'once');
	await page.clock.runFor(1_000);
	await shows(page, 'once');
	assert.equal(await metric(server, 'pathcast_connections_opened_total'), 1);
});

test('a channel that is left while it connects is closed without complaint', needsChromium, async (t) => {
	const server = await startTestServer(t);
	let letGo = () => {};
	const held = new Promise<void>((resolve) => {
		letGo = resolve;
	});
	const port = await startGateway(t, server.port, async (piece) => {
		if (isUpgrade(piece) && piece.startsWith('GET /one')) await held;
		return piece;
	});
	const { page, complaints } = await openPage(t, `http://127.0.0.1:${port}/one`);
	await page.getByRole('textbox', { name: 'Path' }).fill('/two');
	await page.getByRole('button', { name: 'Go' }).click();
	await page.getByRole('heading', { name: '/two' }).waitFor();
	letGo();
	await stateOf(page, 'open');
	assert.deepEqual(complaints, []);
});

test('a handshake that is never answered is given up after a while', needsChromium, async (t) => {
	const server = await startTestServer(t);
	let isHolding = true;
	const port = await startGateway(t, server.port, (piece) => (isHolding && isUpgrade(piece) ? new Promise(() => {}) : piece));
	const { page } = await openPage(t, 'about:blank');
	await page.clock.install();
	await page.goto(`http://127.0.0.1:${port}/room`);
	await page.clock.runFor(16_000);
	await page.getByText(/^refused \(no websocket, though the server answers/).waitFor();
	isHolding = false;
	await page.clock.runFor(2_000);
	await stateOf(page, 'open');
});

test('a server on the same machine is found again while the browser is offline', needsChromium, async (t) => {
	const port = await freePort();
	const first = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await first.port();
	const { page } = await openPage(t, `http://127.0.0.1:${port}/room`);
	await stateOf(page, 'open');
	// What the browser says of the network; it goes on to reach this machine.
	await page.evaluate("Object.defineProperty(navigator, 'onLine', { value: false })");
	first.child.kill('SIGTERM');
	await first.ended;
	await stateOf(page, 'offline');
	await page.getByText('tries again when the network is back').waitFor();
	const second = runCommand(t, ['--addr', `127.0.0.1:${port}`, '--mport', 'off']);
	await second.port();
	await stateOf(page, 'open');
	await post(port, '/room', 'found');
	await shows(page, 'found');
});
