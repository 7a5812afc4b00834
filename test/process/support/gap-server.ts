// The server of the tests of gaps: over TCP, over TLS, or on a UNIX socket, as the variable SCHEME says.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../support/command.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

export const schemes = ['ws', 'wss', 'ws+unix'];
const { SCHEME: scheme = 'ws' } = process.env;
const tls = (name: string) => fileURLToPath(new URL(`../../../../test/support/tls/valid.${name}.pem`, import.meta.url));

export type GapServer = {
	/** The address of a channel, as the package ws takes it. */
	url(path: string): string;
	/** Posts the texts in order, over one connection. */
	post(path: string, texts: readonly string[]): Promise<void>;
};

export async function startGapServer(t: TestContext, backlogBytes: number, messageBytes: number): Promise<GapServer> {
	const flags = ['--mport', 'off', '--max-message', String(messageBytes), '--max-backlog', String(backlogBytes)];
	if (scheme === 'ws+unix') {
		const file = join(temporaryFolder(t), 's');
		await runCommand(t, ['--addr', file, ...flags]).logged('start');
		return { url: (path) => `ws+unix:${file}:${path}`, post: (path, texts) => post(connect(file), path, texts) };
	}
	const tlsFlags = scheme === 'wss' ? ['--tls-cert', tls('cert'), '--tls-key', tls('key')] : [];
	const port = await runCommand(t, ['--addr', '127.0.0.1:0', ...flags, ...tlsFlags]).port();
	const options = { port, host: '127.0.0.1', rejectUnauthorized: false };
	return {
		url: (path) => `${scheme}://127.0.0.1:${port}${path}`,
		post: (path, texts) => post(scheme === 'wss' ? connectTls(options) : connect(options), path, texts),
	};
}

// How many requests are sent before their answers are read: nearly as many as a tick answers; so many that their answers fit what the
// system holds for a UNIX socket; and few over TLS, where the engine breaks connections that pipeline much.
const requestsAtOnce = { ws: 1_400, 'ws+unix': 128, wss: 16 };

/** Posts the texts in order, in batches of as many as may be under way. */
async function post(socket: Socket, path: string, texts: readonly string[]): Promise<void> {
	const requests = texts.map((text) => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
	const batch = requestsAtOnce[scheme as keyof typeof requestsAtOnce];
	let sent = 0;
	const sendMore = () => {
		socket.write(requests.slice(sent, sent + batch).join(''));
		sent += batch;
	};
	sendMore();
	let answers = 0;
	for await (const data of socket) {
		// Answers are cut anywhere: the last letter of each is the only `K` that a line end follows.
		answers += String(data).split('K\n').length - 1;
		if (answers === texts.length) break;
		if (answers >= sent) sendMore();
	}
	if (answers < texts.length) throw new Error(`${answers} answers to ${texts.length} POSTs`);
	socket.destroy();
	if (!socket.closed) await once(socket, 'close');
}
