// A site of another origin.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** Serves an empty page, and gives its origin. */
export async function startSite(t: TestContext): Promise<string> {
	const site = createServer((_, res) => res.setHeader('Content-Type', 'text/html').end('<!doctype html><title>site</title>'));
	await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
	t.after(() => site.close());
	return `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
}
