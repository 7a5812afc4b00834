// A site of another origin than the server's.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** Serves an empty page, and gives its origin. */
export async function startSite(t: TestContext): Promise<string> {
	const site = createServer((_, res) => res.setHeader('Content-Type', 'text/html').end('<!doctype html><title>site</title>'));
	await once(site.listen(0, '127.0.0.1'), 'listening');
	t.after(() => site.close());
	return `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
}
