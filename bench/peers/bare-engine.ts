// uWebSockets.js and nothing else: the ceiling. Arguments: port, when to publish (handler or deferred), whether a POST is checked, and
// for TLS the certificate and the key.

import { isUtf8 } from 'node:buffer';
import type { HttpRequest } from '../../src/engine.js';

const [port, when, checks, cert, key] = process.argv.slice(2);
// The build that pathcast itself chooses.
const { loadEngine }: typeof import('../../src/engine.js') = await import(
	new URL('../../../dist/engine.js', import.meta.url).href
);
const engine = loadEngine();
const app = engine.createApp(cert && key ? { cert, key } : undefined);
const counts = new Map<string, number>();
let deferred: { path: string; message: Uint8Array }[] = [];

function publish(path: string, message: ArrayBuffer): void {
	if (when === 'handler') {
		app.publish(path, message, false);
		return;
	}
	if (deferred.length === 0) setImmediate(flush);
	// A copy: the engine takes the message back when the handler returns.
	deferred.push({ path, message: new Uint8Array(message.slice(0)) });
}

function flush(): void {
	const messages = deferred;
	deferred = [];
	for (const { path, message } of messages) app.publish(path, message, false);
}

app.ws<{ path: string }>('/*', {
	maxPayloadLength: 131_072,
	maxBackpressure: 4 * 1_048_576,
	closeOnBackpressureLimit: true,
	idleTimeout: 32,
	upgrade(res, req, context) {
		const protocol = req.getHeader('sec-websocket-protocol');
		res.upgrade({ path: req.getUrl() }, req.getHeader('sec-websocket-key'), protocol, '', context);
	},
	open(ws) {
		const { path } = ws.getUserData();
		ws.subscribe(path);
		counts.set(path, (counts.get(path) ?? 0) + 1);
	},
	close(ws) {
		const { path } = ws.getUserData();
		counts.set(path, (counts.get(path) ?? 0) - 1);
	},
	message(ws, message) {
		publish(ws.getUserData().path, message);
	},
});

app.post('/*', (res, req) => {
	res.onAborted(() => {});
	const path = checks === 'checked' ? checkedPath(req) : req.getUrl();
	if (path === undefined) {
		res.writeStatus('400 Bad Request').end('bad request\n');
		return;
	}
	let bytes = 0;
	res.onData((chunk, isLast) => {
		bytes += chunk.byteLength;
		// Enough here: the benchmark's bodies come in one piece.
		if (!isLast) return;
		if (checks !== 'checked') {
			publish(path, chunk);
			res.end('OK\n');
		} else if (bytes > 65_536 || !isUtf8(chunk)) {
			res.writeStatus('400 Bad Request').end('bad body\n');
		} else {
			const subscribers = counts.get(path) ?? 0;
			publish(path, chunk);
			res.writeHeader('Content-Type', 'text/plain; charset=utf-8').writeHeader('X-Subscribers', String(subscribers)).end('OK\n');
		}
	});
});

/** What the protocol demands: a path that decodes to UTF-8 of a bounded length, and one unambiguous length of the body. */
function checkedPath(req: HttpRequest): string | undefined {
	let lengths = 0;
	let encodings = 0;
	let hosts = 0;
	req.forEach((name) => {
		if (name === 'content-length') lengths++;
		else if (name === 'transfer-encoding') encodings++;
		else if (name === 'host') hosts++;
	});
	const length = req.getHeader('content-length');
	const encoding = req.getHeader('transfer-encoding');
	if (lengths > 1 || encodings > 1 || hosts > 1 || !/^[0-9]*$/.test(length) || (encoding !== '' && encoding !== 'chunked'))
		return undefined;
	const path = req.getUrl();
	if (path.length > 4_096 || path.includes('\u{fffd}')) return undefined;
	if (!path.includes('%')) return path;
	try {
		return decodeURIComponent(path);
	} catch {
		return undefined;
	}
}

if (!engine.listen(app, '127.0.0.1', Number(port))) process.exit(1);
