// Run by gap.test.ts in a network of its own, with the scheme: slow readers, one after another, of thousands of messages published at once.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../support/command.js';
import { numbered } from '../../support/gapless.js';
import type { Received } from './slow-reader.js';

const atOnce = 3_000;
const messageBytes = 4_096;
const roundsOfEach = 3;
const { SCHEME: scheme = 'ws' } = process.env;
const tls = (name: string) => fileURLToPath(new URL(`../../../../test/support/tls/valid.${name}.pem`, import.meta.url));
const readerFile = fileURLToPath(new URL('slow-reader.js', import.meta.url));

test('slow readers', async (t) => {
	const flags = ['--addr', '127.0.0.1:0', '--mport', 'off', '--max-message', '4096', '--max-backlog', '65536'];
	const server = runCommand(t, [...flags, ...(scheme === 'wss' ? ['--tls-cert', tls('cert'), '--tls-key', tls('key')] : [])]);
	const port = await server.port();
	let cut = 0;
	for (const sends of ['nothing', 'pongs', 'pings', 'keepalives', 'fragments']) {
		for (let round = 0; round < roundsOfEach; round++) {
			const path = `/${sends}-${round}`;
			const reader = fork(readerFile, [`${scheme}://127.0.0.1:${port}${path}`, sends]);
			t.after(() => reader.kill());
			await once(reader, 'message');
			const ended = once(reader, 'message');
			await publish(port, path);
			const [received] = (await ended) as [Received];
			t.diagnostic(`${sends}: ${JSON.stringify(received)}`);
			assert.equal(received.afterGap, 0, `${sends}: ${received.afterGap} messages after a gap`);
			assert.ok(!received.hasEnd || received.messages === atOnce);
			if (!received.hasEnd) cut++;
		}
	}
	t.diagnostic(`cut: ${cut}`);
});

/** Sends nearly as many at a time as a tick answers, and waits for the answers. Over TLS, where the engine breaks connections that pipeline much, 16. */
async function publish(port: number, path: string): Promise<void> {
	const socket =
		scheme === 'wss' ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect(port, '127.0.0.1');
	const texts = [...Array.from({ length: atOnce }, (_, i) => numbered(i, messageBytes)), 'end'];
	const requests = texts.map((text) => `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
	const batch = scheme === 'wss' ? 16 : 1_400;
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
	socket.destroy();
}
