// npm run bench:page: the test page in Chromium under 1,000 messages a second. Does it stay responsive, and its memory flat?
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { type CDPSession, chromium, type Page } from 'playwright-core';
import { WebSocket } from 'ws';
import { peers } from './peers.js';
import { killAll, startServer } from './processes.js';

const messagesPerSecond = 1_000;
const warmUpSeconds = 5;
/** After a collection: what the thousand lines weigh varies a little. */
const grownBytesMax = 1_048_576;
const path = '/bench/flood';
const executablePath = process.env.TEST_CHROMIUM ?? '/usr/bin/chromium';

type Memory = { readonly heapBytes: number; readonly nodes: number };
/** Milliseconds. */
type Spread = { readonly p50: number; readonly p99: number; readonly max: number };

const folder = mkdtempSync(join(tmpdir(), 'pathcast-bench-'));
process.on('exit', () => {
	killAll();
	rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

const { seconds, out } = new Command('npm run bench:page --')
	.description('Measures the test page in Chromium under 1,000 messages a second.')
	.option('--seconds <count>', 'how long to measure', wholeSeconds, 60)
	// The documents state what is in bench/results: only who means to change that names it.
	.option('--out <file>', 'where to put the figures', 'bench/build/page-flood.json')
	.parse()
	.opts<{ seconds: number; out: string }>();

const [pathcast] = peers;
if (pathcast === undefined) throw new Error('pathcast is no longer the first of the peers');
const server = await startServer({ peer: pathcast, pin: undefined, folder });
const { host, port } = server.target;
const browser = await chromium.launch({
	executablePath,
	args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const context = await browser.newContext({ viewport: { width: 1_280, height: 800 } });
const page = await context.newPage();
await page.goto(`http://${host}:${port}${path}`);
await page.locator('html[data-state=open]').waitFor();
const devTools = await context.newCDPSession(page);
const publisher = new WebSocket(`ws://${host}:${port}${path}`);
await new Promise((resolve, reject) => publisher.once('open', resolve).once('error', reject));

let sent = 0;
const flood = startFlood();
await wait(1_000 * warmUpSeconds);
// A key's time ends when what it did has been painted. (Event Timing does not tell of those under 16 ms.)
await page.evaluate(`window.frameMs = [];
	window.keyToPaintMs = [];
	let last = performance.now();
	requestAnimationFrame(function frame(now) {
		window.frameMs.push(now - last);
		last = now;
		requestAnimationFrame(frame);
	});
	addEventListener('keydown', ({ timeStamp }) =>
		requestAnimationFrame(() => setTimeout(() => window.keyToPaintMs.push(performance.now() - timeStamp))));`);
const before = await memory(page, devTools);
const started = performance.now();
for (let second = 1; second <= seconds; second++) {
	await page.keyboard.press('a');
	await wait(Math.max(0, started + 1_000 * second - performance.now()));
}
const after = await memory(page, devTools);
clearInterval(flood);
const all = sent.toLocaleString('en');
await page.locator('#total').getByText(all, { exact: true }).waitFor({ timeout: 10_000 });
const lines = await page.locator('#messages li').count();
const spreadIn = async (name: string) => spread(await page.evaluate<number[]>(`window.${name}`));
const figures = {
	machine: `${cpus()[0]?.model.trim()}, ${cpus().length} processors, Linux ${release()}, Chromium ${browser.version()}`,
	day: new Date().toISOString().slice(0, 10),
	seconds,
	messagesPerSecond: Math.round(sent / (seconds + warmUpSeconds)),
	/** All that were sent have come, in this many lines. */
	messages: sent,
	lines,
	frameMs: await spreadIn('frameMs'),
	keyToPaintMs: await spreadIn('keyToPaintMs'),
	before,
	after,
};
writeFileSync(out, `${JSON.stringify(figures, undefined, '\t')}\n`);
console.log(JSON.stringify(figures, undefined, 2));
const grownBytes = after.heapBytes - before.heapBytes;
if (lines !== 1_000 || grownBytes > grownBytesMax) {
	console.error(
		`The page must show 1,000 lines, not ${lines}, and grow by ${grownBytesMax} bytes at the most, not ${grownBytes}.`,
	);
	process.exitCode = 1;
}
publisher.terminate();
await browser.close();
await server.stop();
process.exit();

/** Messages as a service would send them, evenly, numbered. */
function startFlood(): NodeJS.Timeout {
	const start = performance.now();
	return setInterval(() => {
		const due = ((performance.now() - start) / 1_000) * messagesPerSecond;
		while (sent < due) {
			publisher.send(JSON.stringify({ number: sent, city: ['Łódź', 'Berlin', 'Porto'][sent % 3], note: 'x'.repeat(sent % 100) }));
			sent++;
		}
	}, 4);
}

async function memory(page: Page, devTools: CDPSession): Promise<Memory> {
	await devTools.send('HeapProfiler.collectGarbage');
	const { usedSize } = await devTools.send('Runtime.getHeapUsage');
	const nodes = await page.evaluate<number>("document.querySelectorAll('*').length");
	return { heapBytes: usedSize, nodes };
}

function spread(values: readonly number[]): Spread {
	const sorted = [...values].sort((one, other) => one - other);
	const at = (share: number) =>
		Number((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1));
	return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function wholeSeconds(text: string): number {
	if (!/^[1-9][0-9]{0,3}$/.test(text)) throw new InvalidArgumentError('It must be a whole number of seconds, at least 1.');
	return Number(text);
}
