// What takes its time behind a proxy. The tests wait side by side.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { optionTable } from '#src/options/table.js';
import { thisEngine } from '../support/malformed.js';
import { tls } from '../support/tls.js';
import { HttpsClient, subscribeOver } from './support/clients.js';
import type { Places } from './support/deployed.js';
import type { Front } from './support/front.js';
import { needsHaproxy, startHaproxy } from './support/haproxy.js';
import { needsLua, needsNginx, startNginx } from './support/nginx.js';
import { type Node, startNodes } from './support/nodes.js';

type Start = (t: TestContext, node: Node, places: Places) => Promise<Front>;

/** `before` is the file's line with a time-out of 75 s. */
async function staysOpen(t: TestContext, before: string, start: Start): Promise<void> {
	assert.ok(75 > Number.parseInt(optionTable.pingTimeout.default, 10));
	const places: Places = [[before, before.replace('75s', '6s')]];
	const [pinging] = await startNodes(t, 1, '--ping-timeout', '8s');
	const [silent] = await startNodes(t, 1, '--ping-timeout', '0');
	assert.ok(pinging && silent);
	const [front, silentFront] = [await start(t, pinging, places), await start(t, silent, places)];
	const kept = await subscribeOver(t, front.port, '/room');
	const openedMs = performance.now();
	const cut = await subscribeOver(t, silentFront.port, '/room');

	// Where no pings come, the proxy ends it: by then the other has been idle for as long.
	assert.equal((await cut.closed).code, 1006);
	assert.ok(performance.now() - openedMs > 5_900);
	assert.equal(await new HttpsClient(t, front.port).publish('/room', 'still here'), 1);
	assert.equal(await kept.nextText(), 'still here');
}

async function staysInTheRing(t: TestContext): Promise<void> {
	const nodes = await startNodes(t, 3);
	const { port } = await startNginx(t, 'cluster.conf', nodes);
	const subscriber = await subscribeOver(t, port, '/room');
	// One connection for both, so that the worker that saw the first fail has the second.
	const socket = connect({ ...tls, host: '127.0.0.1', port });
	t.after(() => socket.destroy());
	const answered = async (pattern: RegExp) => {
		for (let answer = ''; ; ) {
			const [, found] = pattern.exec(answer) ?? [];
			if (found !== undefined) return found;
			answer += String((await once(socket, 'data'))[0]);
		}
	};
	const post = (headers: string) =>
		socket.write(`POST /room HTTP/1.1\r\nHost: localhost\r\n${headers}\r\nContent-Length: 4\r\n\r\ntext`);
	// nginx passes on a control character. The older engine gives no answer to it, and ends the connection after some 12 seconds.
	post('Origin: \x01');
	assert.equal(await answered(/^HTTP\/1.1 ([0-9]+)[\s\S]*\r\n\r\n/), thisEngine === 'older' ? '502' : '400');
	post('Accept: */*');
	assert.equal(await answered(/^X-Subscribers: ([0-9]+)\r\n/m), '1');
	assert.equal(await subscriber.nextText(), 'text');
}

async function isClosed(t: TestContext, file: string): Promise<void> {
	const silence = createServer().listen(0, '127.0.0.1');
	t.after(() => silence.close());
	await once(silence, 'listening');
	const nodes = await startNodes(t, 3);
	const { port: silent } = silence.address() as AddressInfo;
	const { port } = await startNginx(t, file, nodes, [['http://127.0.0.1:8090/', `http://127.0.0.1:${silent}/`]]);
	await assert.rejects(subscribeOver(t, port, '/room'), /Unexpected server response: 500/);
}

test("a proxy's time-outs end what has failed, and nothing that is alive", { concurrency: true }, async (t) => {
	await Promise.all([
		t.test("behind nginx, pings keep a websocket open that is idle for longer than nginx's time-out", needsNginx, (t) =>
			staysOpen(t, 'proxy_read_timeout 75s;', (t, node, places) => startNginx(t, 'cluster.conf', [node, node, node], places)),
		),
		t.test("behind HAProxy, pings keep a websocket open that is idle for longer than HAProxy's time-out", needsHaproxy, (t) =>
			staysOpen(t, 'timeout tunnel 75s', (t, node, places) => startHaproxy(t, [node, node, node], places)),
		),
		t.test(
			"behind nginx, a request that a node's engine drops or refuses does not move the node's channels",
			needsNginx,
			staysInTheRing,
		),
		...[['auth-request.conf', needsNginx] as const, ['auth-lua.conf', needsLua] as const].map(([file, needed]) =>
			t.test(`${file}: nobody gets in while the service gives no answer`, needed, (t) => isClosed(t, file)),
		),
	]);
});
