import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { handshakeHeaders, request } from '../support/http.js';
import { protocol } from '../support/protocol.js';
import { startTestServer, type TestServer } from '../support/server.js';

/** Whether an Origin passes: the same for an upgrade, a POST and a PUT. */
async function passes(server: TestServer, origin: string | undefined, host = `127.0.0.1:${server.port}`): Promise<boolean> {
	const headers = { Host: host, ...(origin !== undefined && { Origin: origin }) };
	const upgrade = await request(server.port, { headers: { ...handshakeHeaders, ...headers } });
	const post = await request(server.port, { method: 'POST', headers, body: 'x' });
	const put = await request(server.port, { method: 'PUT', headers, body: 'x' });
	const statuses = [upgrade.status, post.status, put.status];
	if (upgrade.status === 101) assert.deepEqual(statuses, [101, 200, 200], origin);
	else assert.deepEqual(statuses, [403, 403, 403], origin);
	return upgrade.status === 101;
}

async function checkAll(t: TestContext, rule: string, host: string | undefined, cases: Record<string, boolean>): Promise<void> {
	const server = await startTestServer(t, '--origin', rule);
	for (const [origin, expected] of Object.entries(cases)) {
		assert.equal(await passes(server, origin, host), expected, `${origin} with ${rule}`);
	}
}

protocol('Without `--origin`, every Origin passes and there are no CORS headers.', async (t) => {
	const server = await startTestServer(t);
	for (const origin of [undefined, 'null', 'https://example.com', 'nonsense']) assert.equal(await passes(server, origin), true);
	for (const method of ['POST', 'OPTIONS']) {
		const { headers } = await request(server.port, { method, headers: { Origin: 'https://example.com' }, body: '' });
		assert.doesNotMatch([...headers.keys()].join(), /access-control|vary/);
	}
});

protocol(
	'`--origin scheme://host[:port]`, repeated or comma-separated, allows pages of these origins, compared by scheme, host and port with default ports filled in.',
	async (t) => {
		await checkAll(t, 'https://example.com,http://b.example:8080, HTTPS://Bücher.example:443 ,app://local', undefined, {
			'https://example.com': true,
			'https://example.com:443': true,
			'HTTPS://EXAMPLE.com': true,
			'http://example.com': false,
			'https://example.com:8443': false,
			'https://example.com.evil.example': false,
			'https://evil.example/https://example.com': false,
			'https://example.com@evil.example': false,
			'https://sub.example.com': false,
			'http://b.example:8080': true,
			'http://b.example': false,
			'https://xn--bcher-kva.example': true,
			'app://local': true,
			'app://other': false,
		});
		const repeated = await startTestServer(t, '--origin', 'https://a.example', '--origin', 'https://b.example');
		for (const origin of ['https://a.example', 'https://b.example']) assert.equal(await passes(repeated, origin), true);
		assert.equal(await passes(repeated, 'https://c.example'), false);
	},
);

protocol(
	'`--origin https://*.example.com` allows the origins below it, by one label or more, with that scheme and port.',
	async (t) => {
		await checkAll(t, 'https://*.example.com,http://*.b.example:8080', undefined, {
			'https://a.example.com': true,
			'https://a.b.example.com': true,
			'https://A.EXAMPLE.com:443': true,
			'https://example.com': false,
			'https://.example.com': false,
			'https://aexample.com': false,
			'http://a.example.com': false,
			'https://a.example.com:8443': false,
			'https://a.example.com.evil.example': false,
			'http://a.b.example:8080': true,
			'http://a.b.example': false,
		});
	},
);

protocol('`--origin null` and `--origin file://` allow exactly that Origin, and the log warns of what it means.', async (t) => {
	await checkAll(t, 'null', undefined, { null: true, NULL: false, 'file://': false, 'https://example.com': false });
	await checkAll(t, 'file://', undefined, { null: false, 'file://': true, 'file:///': false, 'file://host': false });
	const server = await startTestServer(t, '--origin', 'null,https://example.com,file://');
	const warnings = server.log.filter(({ event }) => event === 'origin').map(({ level, setting, msg }) => [level, setting, msg]);
	assert.deepEqual(warnings, [
		[40, 'null', '--origin null lets in every sandboxed page, whoever made it: any site can show one'],
		[40, 'file://', '--origin file:// lets in every page that is opened from a file, whoever made it'],
	]);
	const { headers } = await request(server.port, { method: 'POST', headers: { Origin: 'null' }, body: 'x' });
	assert.equal(headers.get('access-control-allow-origin'), 'null');
	assert.equal(headers.has('access-control-allow-credentials'), false, 'any page may be null');
});

protocol(
	"`--origin same_origin` allows an Origin whose host and port are the request's `Host`, a missing port being the default of the Origin's scheme.",
	async (t) => {
		await checkAll(t, 'same_origin', 'example.com:8081', {
			'http://example.com:8081': true,
			'https://example.com:8081': true,
			'http://example.com': false,
			'http://other.example:8081': false,
		});
		await checkAll(t, 'same_origin', 'Example.COM', {
			'http://example.com': true,
			'https://example.com': true,
			'http://example.com:80': true,
			'https://example.com:80': false,
			'http://example.com:443': false,
		});
		await checkAll(t, 'same_origin', 'example.com:443', { 'https://example.com': true, 'http://example.com': false });
		await checkAll(t, 'same_origin', '[::1]:8081', { 'http://[::1]:8081': true, 'http://[::2]:8081': false });
		await checkAll(t, 'same_origin', '', { 'http://example.com': false });
	},
);

protocol('`--origin same_hostname` does the same, ports aside.', async (t) => {
	await checkAll(t, 'same_hostname', 'example.com:8081', {
		'http://example.com:8081': true,
		'http://example.com': true,
		'https://example.com:9': true,
		'http://example.org:8081': false,
	});
	await checkAll(t, 'same_hostname', '[::1]:8081', { 'http://[::1]:1': true, 'http://[::2]:8081': false });
});

protocol('Upgrades, POSTs and PUTs of any other Origin are refused with 403; a request without an Origin passes.', async (t) => {
	for (const rule of ['https://example.com', 'same_origin', 'same_hostname']) {
		const server = await startTestServer(t, '--origin', rule);
		for (const origin of [
			'null',
			'',
			'https://evil.example',
			'https://',
			'example.com',
			'https://example.com, https://evil.example',
			'*',
		]) {
			assert.equal(await passes(server, origin), false, `${origin} with ${rule}`);
		}
		assert.equal(await passes(server, undefined), true);
		assert.equal(
			(await request(server.port, { headers: { Origin: 'https://evil.example' } })).status,
			200,
			'the page is for all',
		);
	}
});

protocol('The log has refused origins at `info`, one line a second at the most: which origin, and which setting.', async (t) => {
	const server = await startTestServer(t, '--log-level', 'info', '--origin', 'https://example.com,same_origin');
	for (let i = 0; i < 50; i++) {
		await request(server.port, {
			method: 'POST',
			path: '/room?secret',
			headers: { Origin: `https://evil${i}.example` },
			body: 'x',
		});
	}
	const lines = server.log.filter(({ event }) => event === 'refused');
	assert.ok(lines.length >= 1 && lines.length <= 3, `50 refusals made ${lines.length} lines`);
	const { level, reason, origin, setting, path } = lines[0] ?? {};
	assert.deepEqual(
		{ level, reason, origin, setting, path },
		{ level: 30, reason: 'origin', origin: 'https://evil0.example', setting: 'https://example.com,same_origin', path: '/room' },
	);
});

protocol(
	'Answers to POST and PUT let allowed origins read them, `X-Subscribers` and `X-Nodes`, also if the page sends cookies, and vary by Origin.',
	async (t) => {
		const server = await startTestServer(t, '--origin', 'https://example.com');
		for (const method of ['POST', 'PUT']) {
			for (const body of ['x', Buffer.from([0xff]), 'x'.repeat(70_000)]) {
				const { headers } = await request(server.port, { method, headers: { Origin: 'https://example.com' }, body });
				assert.equal(headers.get('access-control-allow-origin'), 'https://example.com');
				assert.equal(headers.get('access-control-expose-headers'), 'X-Subscribers, X-Nodes');
				assert.equal(headers.get('access-control-allow-credentials'), 'true');
				assert.equal(headers.get('vary'), 'Origin');
			}
			for (const headers of [{}, { Origin: 'https://evil.example' }]) {
				const answer = await request(server.port, { method, headers, body: 'x' });
				assert.equal(answer.headers.has('access-control-allow-origin'), false);
				assert.equal(answer.headers.get('vary'), 'Origin');
			}
		}
	},
);

protocol('OPTIONS is answered with 204: a CORS preflight for allowed origins, otherwise `Allow`.', async (t) => {
	const server = await startTestServer(t, '--origin', 'https://example.com');
	const preflight = { 'Access-Control-Request-Method': 'PUT', 'Access-Control-Request-Headers': 'content-type' };
	const allowed = await request(server.port, { method: 'OPTIONS', headers: { Origin: 'https://example.com', ...preflight } });
	assert.equal(allowed.status, 204);
	assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://example.com');
	assert.equal(allowed.headers.get('access-control-allow-credentials'), 'true');
	assert.match(allowed.headers.get('access-control-allow-methods') ?? '', /POST, PUT/);
	assert.match(allowed.headers.get('access-control-allow-headers') ?? '', /Content-Type, If-Match/);
	assert.equal(allowed.headers.get('vary'), 'Origin');
	for (const headers of [{}, { Origin: 'https://evil.example', ...preflight }]) {
		const answer = await request(server.port, { method: 'OPTIONS', headers });
		assert.deepEqual([answer.status, answer.headers.get('allow')], [204, 'GET, HEAD, POST, PUT, OPTIONS']);
		assert.equal(answer.headers.has('access-control-allow-origin'), false);
	}
});
