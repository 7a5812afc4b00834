// The operator's listener, on its own address: never reachable through the public one. Serves HTTP; the endpoints are passed in.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { discardedBytesMax, discardMsMax } from '../http/discarding.js';
import type { InFlight } from '../http/in-flight.js';
import { listenError, type TcpAddress } from '../listening/addresses.js';
import { faultLog } from '../observe/event-log.js';
import { type Log, rateLimited } from '../observe/log.js';
import { type Endpoint, type OperatorAnswer, text } from './endpoint.js';
import { visitorRefusal } from './visitors.js';

// As on the public side: a client that sends a request more slowly than this is cut off, with 408 where that can be written.
const requestMsMax = 10_000;
const requestCheckMs = 1_000;
// A /send may name a thousand sessions.
const headBytesMax = 65_536;
// A client that does not wait for its answers can have a thousand requests in one read.
const requestsPerTick = 256;
// How long an answer may stay unread. A channel of a million subscribers takes about a minute to close.
const idleMsMax = 120_000;

/** Serves these endpoints, and a list of them at `/`. Throws a StartError if the address cannot be had. */
export async function startOperatorListener(
	address: TcpAddress,
	names: readonly string[],
	endpoints: readonly Endpoint[],
	inFlight: InFlight,
	log: Log,
): Promise<Server> {
	const all: Endpoint[] = [...endpoints, { methods: ['GET'], path: '/', help: 'this list', answer: () => text(200, list) }];
	const list = all.map(listed).join('\n');
	const logRefused = rateLimited(1_000, (leftOut: number, fields: object) =>
		log.info({ event: 'refused', ...fields, leftOut }, "the operator's listener refused what may be a web page"),
	);
	const logFault = faultLog(log);
	const timeouts = { requestTimeout: requestMsMax, headersTimeout: requestMsMax, connectionsCheckingInterval: requestCheckMs };
	const lastAnswers: LastAnswers = new WeakMap();
	const logPipelining = rateLimited(1_000, (leftOut: number) =>
		log.warn(
			{ event: 'refused', reason: 'pipelining', leftOut },
			"a connection to the operator's listener sent too many requests at once",
		),
	);
	/** How many requests of each connection have come in this tick. */
	const inTick = new Map<Duplex, number>();
	const isTooMany = (socket: Duplex) => {
		if (inTick.size === 0) setImmediate(() => inTick.clear());
		const requests = (inTick.get(socket) ?? 0) + 1;
		inTick.set(socket, requests);
		return requests > requestsPerTick;
	};
	const server = createServer({ ...timeouts, maxHeaderSize: headBytesMax, requireHostHeader: false }, (req, res) => {
		if (req.socket.destroyed) return;
		if (isTooMany(req.socket)) {
			logPipelining();
			req.socket.destroy();
			return;
		}
		lastAnswers.set(req.socket, res);
		const [, path = '', query = ''] = /^([^?]*)\??(.*)$/s.exec(req.url ?? '') ?? [];
		const here = all.filter((endpoint) => isAt(endpoint, path));
		const allowsAnyHost = here.length > 0 && here.every((endpoint) => endpoint.allowsAnyHost);
		const refusal = visitorRefusal(req, address, names, allowsAnyHost);
		if (refusal !== undefined) {
			logRefused({ path, origin: req.headers.origin, host: req.headers.host, code: 403 });
			return send(res, text(403, refusal));
		}
		if (here.length === 0) return send(res, text(404, 'Nothing is here; / lists what there is.'));
		const endpoint = here.find(({ methods }) => methods.includes(req.method === 'HEAD' ? 'GET' : (req.method ?? '')));
		if (endpoint === undefined) return send(res, wrongMethod(here));
		// So that stopping waits for the answer, too.
		inFlight.begin();
		res.once('close', () => inFlight.end());
		// In a promise, because an endpoint that throws must not end the process.
		return void new Promise<OperatorAnswer>((resolve) => resolve(endpoint.answer({ path, query, req })))
			.then((answer) => send(res, answer))
			.catch((error: unknown) => {
				logFault(error, { path }, "A request to the operator's listener failed; the server goes on.");
				if (res.headersSent) res.destroy();
				else send(res, text(500, `The server failed to handle this request: ${error}`));
			});
	}).setTimeout(idleMsMax);
	// The bytes of a head are limited. Node leaves out the fields after the first 2,000, and the sessions in them, without a word.
	server.maxHeadersCount = 0;
	server.on('clientError', (error, socket) => refuseUnreadable(error, socket, lastAnswers.get(socket)));

	await new Promise<void>((resolve, reject) => {
		server.once('error', (error: NodeJS.ErrnoException) => reject(listenError('--mport', address, error.code)));
		server.listen({ host: address.host, port: address.port, exclusive: true }, resolve);
	});
	// A connection that cannot be accepted must not end the process either.
	server.removeAllListeners('error').on('error', (error) => logFault(error, {}, 'accepting failed'));
	return server;
}

export function boundPort(server: Server): number {
	return (server.address() as AddressInfo).port;
}

function isAt({ path }: Endpoint, requested: string): boolean {
	return path === requested || (path.endsWith('/') && path !== '/' && requested.startsWith(path));
}

function listed({ methods, path, example = path, help }: Endpoint): string {
	return `${methods.join(', ').padEnd(10)} ${example.padEnd(36)} ${help}`;
}

function wrongMethod(here: readonly Endpoint[]): OperatorAnswer {
	const methods = here.flatMap((endpoint) => endpoint.methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : method)));
	return text(405, `The methods here are ${methods.join(', ')}.`, { Allow: methods.join(', ') });
}

/** Writes the answer in one piece; Node leaves the body out for a HEAD. */
function send(res: ServerResponse, answer: OperatorAnswer): void {
	// As the public side: a reset must not overtake the answer.
	if (!res.shouldKeepAlive && !res.req.complete) discardBody(res.req, () => write(res, answer));
	else write(res, answer);
}

/** Discards the rest of a body, within a bound, before the answer that closes the connection. */
function discardBody(req: IncomingMessage, onEnd: () => void): void {
	let bytes = 0;
	const end = () => {
		clearTimeout(patience);
		req.off('end', end).off('data', count);
		onEnd();
	};
	const count = (piece: Buffer) => {
		bytes += piece.length;
		if (bytes > discardedBytesMax) end();
	};
	const patience = setTimeout(end, discardMsMax).unref();
	req.on('end', end).on('data', count).resume();
}

function write(res: ServerResponse, { status, body, type = 'text/plain; charset=utf-8', headers = {} }: OperatorAnswer): void {
	res.writeHead(status, {
		...headers,
		'Content-Type': type,
		'Content-Length': Buffer.byteLength(body),
		'Cache-Control': 'no-store',
		'X-Content-Type-Options': 'nosniff',
	});
	res.end(body);
}

const unreadable: Record<string, [status: string, line: string]> = {
	HPE_INVALID_URL: ['400 Bad Request', 'The path may hold ASCII alone here: percent-encode the rest as UTF-8.'],
	HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The path and the headers may take 64 KiB together.'],
	ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', `The request was not complete after ${requestMsMax / 1_000} seconds.`],
};

/** The answer to the last request that has begun on each connection. */
type LastAnswers = WeakMap<Duplex, ServerResponse>;

/** Answers a request that Node's parser cannot read with one line, where that cannot be taken for the answer to another request. */
function refuseUnreadable(
	{ code = '' }: NodeJS.ErrnoException,
	socket: Duplex & { bytesWritten?: number },
	lastAnswer: ServerResponse | undefined,
): void {
	if (lastAnswer?.req.complete && !lastAnswer.headersSent) {
		// A whole request came before it, which may have published: its answer is the last one here.
		lastAnswer.setHeader('Connection', 'close');
		return;
	}
	const [status, line] = unreadable[code] ?? ['400 Bad Request', 'This is not a valid HTTP/1.1 request.'];
	const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n`;
	if (socket.writable && socket.bytesWritten === 0) socket.write(`${head}Content-Length: ${line.length + 1}\r\n\r\n${line}\n`);
	socket.destroy();
}
