import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { indentedJson, isJson } from '#src/page/indented-json.js';
import { needsChromium, openChannel, shownTexts, shows } from '../support/browser.js';
import { post } from '../support/http.js';
import { startTestServer } from '../support/server.js';

// Seeded by TEST_SEED, so that a failure can be run again; fast-check prints the seed it used.
const seed = process.env.TEST_SEED;
const parameters = { numRuns: 1_000, ...(seed !== undefined && { seed: Number(seed) }) };

test('only objects and arrays are indented, and only if they are JSON', () => {
	for (const text of ['{}', ' [1]', '{"a":[]}', '['.repeat(9_000) + ']'.repeat(9_000)]) assert.ok(isJson(text), text);
	for (const text of ['', '1', '"text"', 'null', '{', '[1,]', 'a {}', '['.repeat(9_000)]) assert.ok(!isJson(text), text);
});

test('indented JSON means the same, and looks as JSON.stringify would have it', () => {
	const same = fc.property(fc.json(), fc.nat(3), (json, blanks) => {
		const value = JSON.parse(json);
		fc.pre(isJson(json));
		const written = JSON.stringify(value, undefined, blanks);
		assert.equal(indentedJson(written), JSON.stringify(value, undefined, 2));
	});
	fc.assert(same, parameters);
	assert.equal(indentedJson(' {"a" :[ 1,{ }\n]}'), '{\n  "a": [\n    1,\n    {}\n  ]\n}');
	assert.equal(indentedJson(String.raw`{"\"}":"\\"}`), '{\n  "\\"}": "\\\\"\n}');
});

test('indenting keeps long numbers, repeated keys, their order, and what stands for a character', () => {
	for (const member of [
		'"n": 12345678901234567890',
		'"n": 1.10',
		'"n": 1e400',
		'"n": -0',
		'"\\u0061": "\\/"',
		'"__proto__": 1',
	]) {
		assert.equal(indentedJson(`{${member}}`), `{\n  ${member}\n}`);
	}
	assert.equal(indentedJson('{"b":1,"2":2,"b":3,"1":4}'), '{\n  "b": 1,\n  "2": 2,\n  "b": 3,\n  "1": 4\n}');
});

test('64 KB of brackets do not become gigabytes of blanks', () => {
	const bomb = '['.repeat(32_768) + ']'.repeat(32_768);
	assert.ok(indentedJson(bomb).length < 50 * bomb.length);
	assert.equal(indentedJson(bomb).replace(/\s/g, ''), bomb);
});

test(
	'a message that is shown indented is the one that came, and 64 KB of brackets do not hold up the page',
	needsChromium,
	async (t) => {
		const server = await startTestServer(t);
		const { page } = await openChannel(t, `http://127.0.0.1:${server.port}/room`);
		await post(server.port, '/room', '['.repeat(32_768) + ']'.repeat(32_768));
		await post(server.port, '/room', '{"id":12345678901234567890}');
		await shows(page, '{"id":12345678901234567890}');
		await page.locator('#messages li').first().hover();
		await page.getByRole('button', { name: 'Indent' }).click();
		await page.locator('#messages li').last().hover();
		await page.getByRole('button', { name: 'Indent' }).click();
		const [bomb, id] = await shownTexts(page);
		assert.equal(id, '{\n  "id": 12345678901234567890\n}');
		assert.equal(bomb?.split('\n').length, 65_535);
	},
);
