// An authorisation service, as deploy/nginx/auth-request.conf asks it.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export type Verdict = { readonly status: number; readonly rewrite?: string };

export type Authority = { readonly port: number; stop(): Promise<void> };

/** Answers by the method and the path with query that the client wanted, and its headers. */
export async function startAuthority(
	t: TestContext,
	judge: (method: string, uri: string, headers: NodeJS.Dict<string | string[]>) => Verdict,
): Promise<Authority> {
	const server = createServer((req, res) => {
		const { 'x-original-method': method, 'x-original-uri': uri } = req.headers;
		// Node has one character for each byte of a header.
		const { status, rewrite } = judge(String(method), Buffer.from(String(uri), 'latin1').toString(), req.headers);
		if (rewrite !== undefined) res.setHeader('X-Rewrite', Buffer.from(rewrite).toString('latin1'));
		if (status === 401) res.setHeader('WWW-Authenticate', 'Bearer');
		res.writeHead(status).end();
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const stop = async () => {
		if (!server.listening) return;
		const closed = once(server, 'close');
		server.close();
		server.closeAllConnections();
		await closed;
	};
	t.after(stop);
	return { port: (server.address() as AddressInfo).port, stop };
}
