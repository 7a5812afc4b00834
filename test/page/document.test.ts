import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { preferredCoding } from '#src/http/content-coding.js';
import { protocol } from '../support/protocol.js';
import { startTestServer } from '../support/server.js';

// fetch would decode it, and hide what came over the wire.
async function get(port: number, headers: Record<string, string>, method = 'GET') {
	const { request } = await import('node:http');
	return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }>((resolve, reject) => {
		const sent = request({ host: '127.0.0.1', port, path: '/room', method, headers, agent: false }, async (response) => {
			const chunks: Buffer[] = [];
			for await (const chunk of response) chunks.push(chunk);
			resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
		});
		sent.once('error', reject);
		sent.end();
	});
}

test('the page is sent compressed where that is accepted, the same document in each coding, well under 40 KB', async (t) => {
	const { port } = await startTestServer(t);
	const plain = await get(port, {});
	assert.equal(plain.headers['content-encoding'], undefined);
	assert.equal(plain.headers.vary, 'Accept, Accept-Encoding');
	assert.match(plain.body.toString(), /^<!doctype html>/);
	for (const [coding, decode] of [
		['br', brotliDecompressSync],
		['gzip', gunzipSync],
	] as const) {
		const { headers, body } = await get(port, { 'Accept-Encoding': coding });
		assert.equal(headers['content-encoding'], coding);
		assert.equal(headers.vary, 'Accept, Accept-Encoding');
		assert.equal(decode(body).toString(), plain.body.toString());
		assert.ok(body.length < 16_384, `${body.length} bytes`);
		const head = await get(port, { 'Accept-Encoding': coding }, 'HEAD');
		assert.deepEqual(
			[head.headers['content-length'], head.headers['content-encoding'], head.body.length],
			[String(body.length), coding, 0],
		);
	}
	assert.ok(plain.body.length < 40_000, `${plain.body.length} bytes`);
});

protocol(
	'The test page is compressed (`br`, `gzip`) where that is accepted, and has an `ETag`: `If-None-Match` is answered with 304, and an `If-Match` that names another with 412.',
	async (t) => {
		const { port } = await startTestServer(t);
		const tags = new Set<string>();
		for (const coding of ['br', 'gzip', 'identity']) {
			const { headers } = await get(port, { 'Accept-Encoding': coding });
			const etag = String(headers.etag);
			assert.match(etag, /^"[A-Za-z0-9_-]{22}"$/);
			tags.add(etag);
			for (const ifNoneMatch of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
				for (const method of ['GET', 'HEAD']) {
					const again = await get(port, { 'Accept-Encoding': coding, 'If-None-Match': ifNoneMatch }, method);
					assert.deepEqual(
						[again.status, again.headers.etag, again.headers.vary, again.body.length],
						[304, etag, 'Accept, Accept-Encoding', 0],
					);
					assert.equal(again.headers['content-encoding'], undefined);
				}
			}
			for (const ifNoneMatch of ['"other"', '",*,"', '', etag.slice(1, -1), etag.toUpperCase()])
				assert.equal((await get(port, { 'Accept-Encoding': coding, 'If-None-Match': ifNoneMatch })).status, 200, ifNoneMatch);
			for (const [ifMatch, status] of [
				[etag, 200],
				[`"other", ${etag}`, 200],
				['*', 200],
				['"other"', 412],
				[`W/${etag}`, 412],
				['', 412],
			] as const) {
				assert.equal((await get(port, { 'Accept-Encoding': coding, 'If-Match': ifMatch })).status, status, ifMatch);
			}
		}
		assert.equal(tags.size, 3);
		// Another limit, another document.
		const other = await startTestServer(t, '--max-message', '100');
		assert.equal(tags.has(String((await get(other.port, {})).headers.etag)), false);
	},
);

test('Accept-Encoding is weighed as the client wishes', () => {
	for (const [field, coding] of [
		[undefined, 'identity'],
		['', 'identity'],
		['gzip, deflate, br, zstd', 'br'],
		['gzip, deflate', 'gzip'],
		['GZIP;Q=0.5', 'gzip'],
		['br;q=0.5, gzip;q=0.8', 'gzip'],
		['br;q=0, gzip;q=0', 'identity'],
		['identity, br;q=0.9', 'identity'],
		['*', 'br'],
		['*;q=0', 'identity'],
		['br;q=0, *;q=0.1', 'gzip'],
		['br;q=much', 'identity'],
		['bro, gzi', 'identity'],
	] as const) {
		assert.equal(preferredCoding(field), coding, field);
	}
});

test('the policy allows what the document holds, by hash, and nothing else', async (t) => {
	const { port } = await startTestServer(t);
	const { headers, body } = await get(port, {});
	const policy = String(headers['content-security-policy']);
	const html = body.toString();
	const inline = (tag: string) => {
		const [, text, ...more] = html.split(new RegExp(`<${tag}>([^]*?)</${tag}>`));
		assert.equal(more.length, 1);
		return `'sha256-${createHash('sha256')
			.update(text ?? '')
			.digest('base64')}'`;
	};
	assert.deepEqual(policy.split('; ').sort(), [
		"base-uri 'none'",
		"connect-src 'self'",
		"default-src 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		'img-src data:',
		"require-trusted-types-for 'script'",
		`script-src ${inline('script')}`,
		`style-src ${inline('style')}`,
		"trusted-types 'none'",
	]);
	assert.doesNotMatch(html, /\s(src|href)="(?!data:|")/);
	assert.doesNotMatch(html, /\sstyle=|\son[a-z]+=/);
});
