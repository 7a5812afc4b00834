// The server that one writes with the ws package: a set of clients per path. Arguments: port, and for TLS the certificate and the key.
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type WebSocket, WebSocketServer } from 'ws';

const [port, cert, key] = process.argv.slice(2);
const channels = new Map<string, Set<WebSocket>>();
const http =
	cert && key
		? createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, serve)
		: createServer({ keepAliveTimeout: 60_000 }, serve);
const server = new WebSocketServer({ server: http });

server.on('connection', (client, { url = '/' }) => {
	const clients = channels.get(url) ?? new Set();
	channels.set(url, clients.add(client));
	client.on('message', (data, isBinary) => publish(url, data as Buffer, isBinary));
	client.on('close', () => {
		clients.delete(client);
		if (clients.size === 0) channels.delete(url);
	});
	client.on('error', () => {});
});

function publish(path: string, message: Buffer, isBinary: boolean): void {
	for (const client of channels.get(path) ?? []) client.send(message, { binary: isBinary });
}

function serve(req: IncomingMessage, res: ServerResponse): void {
	const chunks: Buffer[] = [];
	req.on('data', (chunk: Buffer) => chunks.push(chunk));
	req.on('end', () => {
		publish(req.url ?? '/', Buffer.concat(chunks), false);
		res.end('OK\n');
	});
}

http.listen(Number(port), '127.0.0.1');
