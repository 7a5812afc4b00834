// Nothing that a client sends commands a terminal that shows the log or the answers of the operator's listener.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anyPort, refuses, runCommand } from '../support/command.js';
import { handshakeHeaders, post, RawConnection, request } from '../support/http.js';
import { subscribe } from '../support/subscriber.js';

// C0, DEL, C1 (U+009B is the CSI of eight bits), separators of lines, and what turns the direction of text.
const controls = [
	'\u001b[31m',
	'\u0007',
	'\u007f',
	'\u0085',
	'\u009b31m',
	'\u2028',
	'\u2029',
	'\u202e',
	'\u2066',
	'\u200f',
	'\u061c',
];
// By their Unicode properties: controls (C0, DEL, C1), separators of lines and paragraphs, and controls of direction.
const obeyed = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_C}]/u;
const withoutLineEnds = (text: string) => text.replaceAll('\n', '');

const startLine = /"addr":"127\.0\.0\.1:([0-9]+)","mport":"127\.0\.0\.1:([0-9]+)"/;

for (const format of ['json', 'text']) {
	test(`controls in paths, origins and close reasons are shown, not sent, in the ${format} log and in the operator's answers`, async (t) => {
		const command = runCommand(t, [...anyPort, '--log-format', format, '--log-level', 'debug', '--origin', 'https://a.example']);
		// The text format shows the fields as JSON too.
		const [, port, operatorPort] = await command.until(() => startLine.exec(command.stdout) ?? undefined);
		for (const [i, control] of controls.entries()) {
			const path = `/at-${i}-${encodeURIComponent(control)}`;
			const subscriber = await subscribe(t, `ws://127.0.0.1:${port}${path}`);
			await post(Number(port), path, 'x');
			subscriber.ws.close(4000, `bye ${control}`);
			await subscriber.closed;
			// The engine refuses those of ASCII in a header by itself.
			if (control.charCodeAt(0) >= 0x80) {
				const connection = new RawConnection(Number(port));
				const fields = { ...handshakeHeaders, Host: 'x', Origin: `https://evil${control}.example` };
				const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
				await connection.write(Buffer.from(`GET / HTTP/1.1\r\n${lines.join('')}\r\n`));
				await Promise.race([connection.closed, connection.answer()]);
				connection.end();
			}
			const open = await subscribe(t, `ws://127.0.0.1:${port}${path}`);
			const list = await request(Number(operatorPort), { path: '/channels' });
			assert.doesNotMatch(withoutLineEnds(list.body), obeyed);
			const [{ channel }] = JSON.parse(list.body).channels;
			assert.equal(channel, decodeURIComponent(path), 'and it is the same JSON');
			await open.close();
		}
		command.child.kill('SIGTERM');
		const { stdout } = await command.ended;
		assert.match(stdout, /at-4-\\u009b31m/);
		assert.doesNotMatch(withoutLineEnds(stdout), obeyed);
	});
}

test('a start that fails is told in one line without controls, whatever the names of variables and files are', async (t) => {
	const hostile = `${controls.join('')}\n\r\t`;
	const cases: [string[], NodeJS.ProcessEnv][] = [
		[[], { [`PATHCAST_${hostile}`]: 'x' }],
		[[], { PATHCAST_ADDR: hostile }],
		[['--tls-cert', `/${hostile}`, '--tls-key', '/key'], {}],
		[[`--${hostile}`], {}],
		[[hostile], {}],
	];
	for (const [args, variables] of cases) {
		await refuses(t, args, /^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_C}]+\n$/u, [], { ...process.env, ...variables });
	}
});
