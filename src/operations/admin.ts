// The operator's listener, on its own address: never reachable through the public one.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listenError, type TcpAddress } from './addresses.js';
import type { Exposition } from './metrics.js';

export type AdminParts = { readonly exposition: Exposition; readonly isReady: () => boolean };

/** Serves `/metrics`, `/healthz` and `/readyz`. Throws a StartError if the address cannot be had. */
export async function startAdmin(address: TcpAddress, { exposition, isReady }: AdminParts): Promise<Server> {
	const routes: Record<string, (res: ServerResponse) => void | Promise<void>> = {
		'/metrics': async (res) => {
			const body = await exposition.expose();
			res.writeHead(200, { 'Content-Type': exposition.contentType, 'Content-Length': Buffer.byteLength(body) }).end(body);
		},
		'/healthz': (res) => replyLine(res, 200, 'OK'),
		'/readyz': (res) => (isReady() ? replyLine(res, 200, 'OK') : replyLine(res, 503, 'stopping')),
	};
	const server = createServer((req, res) => {
		const route = routes[req.url?.split('?', 1)[0] ?? ''];
		if (route === undefined) return replyLine(res, 404, `Nothing is here; there are ${Object.keys(routes).join(', ')}.`);
		if (req.method !== 'GET' && req.method !== 'HEAD') {
			res.setHeader('Allow', 'GET, HEAD');
			return replyLine(res, 405, 'The methods here are GET, HEAD.');
		}
		// A scrape that fails must not end the process.
		return void Promise.resolve(route(res)).catch((error: unknown) => replyLine(res, 500, String(error)));
	});
	await new Promise<void>((resolve, reject) => {
		server.once('error', (error: NodeJS.ErrnoException) => reject(listenError('--mport', address, error.code)));
		server.listen({ ...address, exclusive: true }, resolve);
	});
	return server;
}

export function boundPort(server: Server): number {
	return (server.address() as AddressInfo).port;
}

function replyLine(res: ServerResponse, status: number, line: string): void {
	const body = `${line}\n`;
	res.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(body) }).end(body);
}
