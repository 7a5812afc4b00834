import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseChannelName, parseSessionName } from '#src/pubsub/channel-name.js';

/** Seeded by TEST_SEED, so that a failure can be run again; fast-check prints the seed it used. */
const seed = process.env.TEST_SEED;
const parameters = { numRuns: 2_000, ...(seed !== undefined && { seed: Number(seed) }) };

/** Any text that is valid Unicode, and now and then something that a parser could trip over. */
const segment = fc.oneof(
	fc.string({ unit: 'binary', maxLength: 20 }),
	fc.constantFrom(
		'',
		'.',
		'..',
		'...',
		'%',
		'%25',
		'\u0000',
		'\ufeff',
		'\ufffd',
		'\\',
		'?',
		'#',
		':',
		'@',
		' ',
		'\r\n',
		'\u{10ffff}',
	),
);
const path = fc.array(segment, { maxLength: 8 }).map((segments) => `/${segments.join('/')}`);

test('every path survives being encoded, whatever its characters', () => {
	fc.assert(
		fc.property(path, (name) => {
			const encoded = name.split('/').map(encodeURIComponent).join('/');
			assert.equal(parseChannelName(encoded, 10_000), name);
			// Raw non-ASCII is the same as encoded, but for what the engine turns invalid bytes into.
			const raw = name.replaceAll('%', '%25').replaceAll('\ufffd', '%EF%BF%BD');
			assert.equal(parseChannelName(raw, 10_000), name);
		}),
		parameters,
	);
});

test('a path that the WHATWG URL parser has spelt is the channel that it was before', () => {
	fc.assert(
		// Browsers resolve dot segments and turn \\ into / before a request is made; the server sees the result.
		fc.property(path, (name) => {
			const encoded = name
				.split('/')
				.map((part) => (/^(\.|%2e)+$/i.test(part) ? 'dots' : escapeForUrl(part)))
				.join('/');
			const { pathname } = new URL(`http://host${encoded}`);
			assert.equal(parseChannelName(pathname, 10_000), decodeURIComponent(encoded));
		}),
		parameters,
	);
});

test('no text is both a channel and a session', () => {
	fc.assert(
		fc.property(fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme-ascii' }), path), (text) => {
			const isChannel = typeof parseChannelName(text, 10_000) === 'string';
			assert.ok(!(isChannel && parseSessionName(text) !== undefined), text);
		}),
		parameters,
	);
	assert.equal(parseSessionName('alice'), 'alice');
	assert.equal(typeof parseChannelName('alice', 256), 'object');
});

/** What the URL parser would drop or read as the end of the path; the rest is left for it to encode. */
function escapeForUrl(part: string): string {
	return [...part]
		.map((character) => (character <= ' ' || '%?#\\'.includes(character) ? encodeURIComponent(character) : character))
		.join('');
}

test('a request target is either refused with a reason or names one channel, and never throws', () => {
	fc.assert(
		fc.property(
			fc.string({ unit: fc.constantFrom('%', '2', 'f', 'C', '3', '9', '/', 'é', '\ufffd', 'g', '😀', '+') }),
			(text) => {
				const name = parseChannelName(`/${text}`, 8);
				const bytes = unescapeBytes(`/${text}`);
				const isValid = bytes !== undefined && !text.includes('\ufffd') && [...bytes].length <= 8;
				if (typeof name === 'string') assert.equal(name, bytes);
				else assert.match(name.reason, /^The path .*\.$/);
				assert.equal(typeof name === 'string', isValid);
			},
		),
		parameters,
	);
});

/** Percent-decoding by its definition (RFC 3986, section 2.1), byte by byte; undefined where it is malformed or not UTF-8. */
function unescapeBytes(text: string): string | undefined {
	const bytes: number[] = [];
	for (let rest = text; rest !== ''; ) {
		if (rest.startsWith('%')) {
			if (!/^%[0-9a-f]{2}/i.test(rest)) return undefined;
			bytes.push(Number.parseInt(rest.slice(1, 3), 16));
			rest = rest.slice(3);
		} else {
			const [character = ''] = rest;
			bytes.push(...Buffer.from(character));
			rest = rest.slice(character.length);
		}
	}
	try {
		return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes));
	} catch {
		return undefined;
	}
}

test('the length is counted in code points, to the one', () => {
	fc.assert(
		fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.integer({ min: 1, max: 40 }), (text, max) => {
			const isRefused = typeof parseChannelName(`/${encodeURIComponent(text)}`, max) !== 'string';
			assert.equal(isRefused, [...text].length + 1 > max);
		}),
		parameters,
	);
});
