// Event streams as one writes them with Node's http: a set of responses per path. Each message is encoded for each stream, as in hubs such
// as Mercure. Argument: port.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const [port] = process.argv.slice(2);
const channels = new Map<string, Set<ServerResponse>>();

function subscribe(path: string, res: ServerResponse): void {
	res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
	// At once: the client waits for the head.
	res.flushHeaders();
	const streams = channels.get(path) ?? new Set();
	channels.set(path, streams.add(res));
	res.on('close', () => {
		streams.delete(res);
		if (streams.size === 0) channels.delete(path);
	});
}

function publish(path: string, message: string): void {
	for (const stream of channels.get(path) ?? []) stream.write(eventOf(message));
}

function eventOf(message: string): string {
	return `data: ${message.replaceAll(/\r\n|\r|\n/g, '\ndata: ')}\n\n`;
}

function serve(req: IncomingMessage, res: ServerResponse): void {
	const path = req.url ?? '/';
	if (req.method === 'GET') {
		subscribe(path, res);
		return;
	}
	const chunks: Buffer[] = [];
	req.on('data', (chunk: Buffer) => chunks.push(chunk));
	req.on('end', () => {
		publish(path, Buffer.concat(chunks).toString());
		res.end('OK\n');
	});
}

createServer({ keepAliveTimeout: 60_000, noDelay: true }, serve).listen(Number(port), '127.0.0.1');
