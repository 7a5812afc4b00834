// Refusals through nginx with its defaults: it asks the server to close each connection, and waits for the whole body, or does not.
import { connect } from 'node:net';
import { test } from 'node:test';
import { freePort } from '../support/free-port.js';
import { assertRefused } from '../support/late-reader.js';
import { startTestServer } from '../support/server.js';
import { needsNginx, runNginx } from './support/nginx.js';

const large = Buffer.alloc(2_000_000, 'x');
const notUtf8 = Buffer.alloc(60_000, 0xff);

for (const buffering of ['on', 'off']) {
	test(
		`a client that reads only when it has sent all gets each refusal through nginx (proxy_request_buffering ${buffering})`,
		needsNginx,
		async (t) => {
			const server = await startTestServer(t, '--origin', 'https://a.example');
			const [publicPort, operatorPort] = [await freePort(), await freePort()];
			// Beside its defaults, nginx gets HTTP/1.1, which the engine insists on, and room for the body.
			const site = (port: number, upstreamPort: number) =>
				`server { listen 127.0.0.1:${port}; client_max_body_size 3m; proxy_request_buffering ${buffering};
				location / { proxy_pass http://127.0.0.1:${upstreamPort}; proxy_http_version 1.1; } }`;
			await runNginx(t, `${site(publicPort, server.port)} ${site(operatorPort, server.operatorPort)}`);
			for (const [port, head, body, status] of [
				[publicPort, 'POST /room HTTP/1.1\r\n', large, 413],
				[publicPort, 'POST /room HTTP/1.1\r\nOrigin: https://evil.example\r\n', large, 403],
				[publicPort, 'PUT /room HTTP/1.1\r\n', notUtf8, 400],
				[publicPort, 'PATCH /room HTTP/1.1\r\n', large, 405],
				[operatorPort, 'POST /channels/room HTTP/1.1\r\n', large, 413],
				[operatorPort, 'POST /nowhere HTTP/1.1\r\n', large, 404],
			] as const) {
				await assertRefused(t, () => connect(port, '127.0.0.1'), head, body, status);
			}
		},
	);
}
