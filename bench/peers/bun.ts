// Bun's built-in publish/subscribe, run by Bun itself. Arguments: port, and for TLS the certificate and the key.
import { readFileSync } from 'node:fs';

type Socket = { readonly data: { path: string }; subscribe(topic: string): void };
type Server = {
	upgrade(request: Request, options: { data: { path: string } }): boolean;
	publish(topic: string, message: string | Uint8Array): number;
};
declare const Bun: {
	serve(options: {
		hostname: string;
		port: number;
		development: boolean;
		tls?: { cert: string; key: string };
		fetch(request: Request, server: Server): Response | undefined | Promise<Response | undefined>;
		websocket: {
			open(socket: Socket): void;
			message(socket: Socket, message: string | Uint8Array): void;
			maxPayloadLength: number;
			backpressureLimit: number;
			closeOnBackpressureLimit: boolean;
		};
	}): Server;
};

const [port, cert, key] = process.argv.slice(2);

const server = Bun.serve({
	hostname: '127.0.0.1',
	port: Number(port),
	development: false,
	...(cert && key && { tls: { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') } }),
	fetch(request, server) {
		const path = pathOf(request.url);
		if (request.method === 'POST') return publishBody(path, request);
		if (server.upgrade(request, { data: { path } })) return undefined;
		return new Response('a websocket, please\n', { status: 426 });
	},
	websocket: {
		open(socket) {
			socket.subscribe(socket.data.path);
		},
		message(socket, message) {
			server.publish(socket.data.path, message);
		},
		maxPayloadLength: 131_072,
		backpressureLimit: 4 * 1_048_576,
		closeOnBackpressureLimit: true,
	},
});

/** Cheaper than a URL object. */
function pathOf(url: string): string {
	const start = url.indexOf('/', url.indexOf('//') + 2);
	const query = url.indexOf('?', start);
	return query < 0 ? url.slice(start) : url.slice(start, query);
}

async function publishBody(path: string, request: Request): Promise<Response> {
	server.publish(path, await request.text());
	return new Response('OK\n');
}
