import assert from 'node:assert/strict';
import { type Answer, post, RawConnection, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { metric, startTestServer, type TestServer } from '../support/server.js';
import { closeEvenly, subscribe, subscribeMany } from '../support/subscriber.js';

const moved = { code: 1012, reason: 'connections are being moved; connect again' };

function drain({ operatorPort }: TestServer, query: string, method = 'POST'): Promise<Answer> {
	return request(operatorPort, { method, path: `/drain?${query}` });
}

protocol(
	'A POST to `/drain?over=60s` closes the websockets that are open then, evenly over that time, with 1012; websockets that open meanwhile stay, and the server goes on.',
	async (t) => {
		const server = await startTestServer(t);
		const present = await subscribeMany(t, 500, (i) => server.ws(`/room/${i % 7}`));
		// Holes before, between and after the present websockets, which later ones will fill.
		for (let i = 0; i < 500; i += 5) await present[i]?.close();
		const left = present.filter((_, i) => i % 5 > 0);
		const closings = closeEvenly(left, 2_000);
		const { status, body } = await drain(server, 'over=2s');
		assert.deepEqual([status, body], [202, 'The present websockets (400) are closed over 2s; the server goes on.\n']);
		const newcomers = await subscribeMany(t, 200, (i) => server.ws(`/room/${i % 7}`));
		assert.equal((await request(server.operatorPort, { path: '/readyz' })).status, 200);
		assert.ok((await metric(server, 'pathcast_disconnects_total{reason="moved"}')) < 400, 'they came meanwhile');
		await closings;
		for (const { closed } of left) assert.deepEqual(await closed, moved);
		assert.equal(await metric(server, 'pathcast_subscribers'), 200);
		assert.equal(await metric(server, 'pathcast_disconnects_total{reason="moved"}'), 400);
		for (let i = 0; i < 7; i++) await post(server.port, `/room/${i}`, 'still here');
		for (const subscriber of newcomers) assert.equal(await subscriber.nextText(), 'still here');
		const logged = server.log.filter(({ event }) => event === 'drain');
		assert.deepEqual(
			logged.map(({ over, subscribers }) => [over, subscribers]),
			[[2, 400]],
		);
	},
);

protocol('A second `/drain?over=` takes the place of the first; while the server stops it is refused with 409.', async (t) => {
	const server = await startTestServer(t, '--drain-delay', '1s');
	const first = await subscribe(t, server.ws('/room'));
	assert.equal((await drain(server, 'over=24h')).status, 202);
	const second = await subscribe(t, server.ws('/room'));
	assert.match((await drain(server, 'over=0s')).body, /\(2\) are closed over 0s/);
	for (const { closed } of [first, second]) assert.deepEqual(await closed, moved);
	const last = await subscribe(t, server.ws('/room'));
	const stopped = server.stop();
	const { status, body } = await drain(server, 'over=0s');
	assert.deepEqual([status, body], [409, 'The server is stopping, and closes its websockets in its own time.\n']);
	await stopped;
	assert.deepEqual(await last.closed, { code: 1012, reason: 'the server is restarting; connect again' });
});

protocol(
	'Any other query of `/drain`, an empty one included, or a body is refused with 400 and the remedy, and stops nothing.',
	async (t) => {
		const server = await startTestServer(t);
		const subscriber = await subscribe(t, server.ws('/room'));
		const remedy = 'Ask for /drain?over=60s, up to over=24h, or for /drain alone to stop the server; without a body.\n';
		const wrong = [
			'',
			'over=',
			'over',
			'over=60',
			'over=-1s',
			'over=1.5s',
			'over=25h',
			'over=1d',
			'over=1s&over=1s',
			'over=1s&',
			'x=1',
			'&',
		];
		for (const query of wrong) {
			const { status, body } = await drain(server, query);
			assert.deepEqual([status, body], [400, remedy], query);
		}
		for (const path of ['/drain', '/drain?over=0s']) {
			const { status, body } = await post(server.operatorPort, path, 'over=0s');
			assert.deepEqual([status, body], [400, remedy], path);
		}
		const chunked = new RawConnection(server.operatorPort);
		await chunked.write('POST /drain HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nover=0s\r\n0\r\n\r\n');
		assert.equal((await chunked.answer()).body, remedy);
		chunked.end();
		for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
			const { status, headers } = await request(server.operatorPort, { method, path: '/drain' });
			assert.deepEqual([status, headers.get('allow')], [405, 'POST'], method);
		}
		await post(server.port, '/room', 'still here');
		assert.equal(await subscriber.nextText(), 'still here');
	},
);
