// Reads the answers on a connection as strictly as RFC 9110 and RFC 9112 write them. An answer that is not well-formed is an error.
import assert from 'node:assert/strict';

export type StrictAnswer = {
	/** 0 for a page without a head, as HTTP/0.9 has it. */
	readonly status: number;
	/** By name in lower case. A repeated field is joined by ", ". */
	readonly fields: ReadonlyMap<string, string>;
	/** One character for each byte. */
	readonly body: string;
	/** Whether its end is that of the connection. */
	readonly endsConnection: boolean;
};

// RFC 9112, section 4. The reason may be empty.
const statusLine = /^HTTP\/1\.[01] ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*$/;
// RFC 9110, sections 5.1 and 5.5: no control character, no line that is folded.
const fieldLine =
	/^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*((?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[\t ]*$/;
// RFC 9110, section 5.6.7.
const imfDate =
	/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT$/;
// A list of these would mean nothing.
const givenOnce = ['content-length', 'content-type', 'date', 'etag', 'location', 'retry-after', 'server', 'transfer-encoding'];

/**
 * The answer to a request by that method at the beginning of these bytes; undefined if more bytes have to come. `hasEnded` tells that none
 * will.
 */
export function readStrictly(
	bytes: Buffer,
	method: string,
	hasEnded: boolean,
): { found: StrictAnswer; length: number } | undefined {
	const text = bytes.toString('latin1');
	if (method === 'HTTP/0.9' && text !== '' && !text.startsWith('HTTP/')) {
		const found = { status: 0, fields: new Map(), body: text, endsConnection: true };
		return hasEnded ? { found, length: text.length } : undefined;
	}
	const headEnd = text.indexOf('\r\n\r\n');
	if (headEnd < 0) {
		assert.ok(!hasEnded || text === '', `the connection ends in a head: ${shown(text)}`);
		return undefined;
	}
	const [first = '', ...lines] = text.slice(0, headEnd).split('\r\n');
	const status = Number(statusLine.exec(first)?.[1]);
	assert.ok(!Number.isNaN(status), `no status line: ${shown(first)}`);
	const fields = readFields(lines);
	const rest = text.slice(headEnd + 4);
	const coding = fields.get('transfer-encoding');
	const announced = fields.get('content-length');
	if (announced !== undefined) assert.match(announced, /^[0-9]+$/, 'Content-Length');
	if (coding !== undefined) assert.equal(coding.toLowerCase(), 'chunked', 'Transfer-Encoding');
	assert.ok(coding === undefined || announced === undefined, 'Content-Length and Transfer-Encoding (RFC 9112, section 6.2)');
	if (status < 200 || status === 204) {
		assert.ok(coding === undefined && announced === undefined, `a length of a ${status} (RFC 9110, section 8.6)`);
	}
	const date = fields.get('date');
	if (date !== undefined) assert.match(date, imfDate);
	if (status === 426) assert.ok(fields.has('upgrade'), 'a 426 without Upgrade (RFC 9110, section 15.5.22)');

	const ends = (body: string, length: number, endsConnection = false) => ({
		found: { status, fields, body, endsConnection },
		length: headEnd + 4 + length,
	});
	// RFC 9112, section 6.3, in its order.
	if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return ends('', 0);
	if (coding !== undefined) {
		const chunks = readChunks(rest);
		assert.ok(chunks !== undefined || !hasEnded, `the connection ends in a chunked body: ${shown(rest)}`);
		return chunks && ends(chunks.body, chunks.length);
	}
	if (announced !== undefined) {
		const length = Number(announced);
		assert.ok(rest.length >= length || !hasEnded, `the connection ends after ${rest.length} of ${length} bytes`);
		return rest.length < length ? undefined : ends(rest.slice(0, length), length);
	}
	// Without a length, the end of the connection is that of the body.
	return hasEnded ? ends(rest, rest.length, true) : undefined;
}

function readFields(lines: readonly string[]): Map<string, string> {
	const fields = new Map<string, string>();
	for (const line of lines) {
		const [, name = '', value = ''] = fieldLine.exec(line) ?? assert.fail(`no field line: ${shown(line)}`);
		const key = name.toLowerCase();
		const earlier = fields.get(key);
		assert.ok(earlier === undefined || !givenOnce.includes(key), `${name} twice`);
		fields.set(key, earlier === undefined ? value : `${earlier}, ${value}`);
	}
	return fields;
}

/** RFC 9112, section 7.1, without extensions and trailers, which this server never sends. */
function readChunks(text: string): { body: string; length: number } | undefined {
	let body = '';
	for (let at = 0; ; ) {
		const lineEnd = text.indexOf('\r\n', at);
		if (lineEnd < 0) return undefined;
		const size = text.slice(at, lineEnd);
		assert.match(size, /^[0-9A-Fa-f]{1,8}$/, 'the size of a chunk');
		const [start, length] = [lineEnd + 2, Number.parseInt(size, 16)];
		if (text.length < start + length + 2) return undefined;
		assert.equal(text.slice(start + length, start + length + 2), '\r\n', 'the end of a chunk');
		body += text.slice(start, start + length);
		at = start + length + 2;
		if (length === 0) return { body, length: at };
	}
}

function shown(text: string): string {
	return JSON.stringify(text.slice(0, 200));
}
