import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pageOf, readablePath } from '#src/page/channels.js';
import { beginning, byteFigure, hexDump, timeOfDay, utf8Bytes } from '#src/page/message-text.js';
import { snippets } from '#src/page/snippets.js';

test('sizes have at most four digits and a unit', () => {
	const figures = [0, 1_023, 1_024, 65_536, 102_400, 1_048_575, 1_048_576, 5e8].map(byteFigure);
	assert.deepEqual(figures, ['0 B', '1023 B', '1.0 KiB', '64.0 KiB', '100 KiB', '1024 KiB', '1.0 MiB', '477 MiB']);
	assert.equal(utf8Bytes('aé😀'), 1 + 2 + 4);
});

test('a time of day has its zeros', () => {
	assert.equal(timeOfDay(new Date(2026, 0, 2, 3, 4, 5, 6)), '03:04:05.006');
});

test('a beginning does not end within a character', () => {
	assert.deepEqual([beginning('a😀b', 2), beginning('a😀b', 3), beginning('ab', 9)], ['a', 'a😀', 'ab']);
});

test('a beginning has no more lines than it may', () => {
	assert.deepEqual([beginning('a\nb\nc', 9, 2), beginning('a\n', 9, 2), beginning('\n\n', 9, 1)], ['a\nb', 'a\n', '']);
});

test('bytes are dumped sixteen to a line', () => {
	assert.equal(hexDump(new Uint8Array()), '');
	assert.equal(hexDump(Uint8Array.of(0x41, 0x0a)), '0000  41 0a                                            A.');
	assert.match(hexDump(new Uint8Array(17)), /\n0010 {2}00 /);
});

test('a path that cannot be decoded is shown as it is', () => {
	assert.deepEqual([readablePath('/%C3%A9'), readablePath('/%ff%zz')], ['/é', '/%ff%zz']);
});

test('a typed path leads to its page: from the top, or beside the present one', () => {
	const present = new URL('https://example.com/push/room/1?token=a#there');
	for (const [typed, href] of [
		['/top', 'https://example.com/top?token=a'],
		['2', 'https://example.com/push/room/2?token=a'],
		['deeper/é?#%', 'https://example.com/push/room/deeper/%C3%A9%3F%23%25?token=a'],
		['', 'https://example.com/push/room/?token=a'],
		['//evil.example/x', 'https://example.com//evil.example/x?token=a'],
		['a\tb ', 'https://example.com/push/room/a%09b%20?token=a'],
		['back\\slash', 'https://example.com/push/room/back%5Cslash?token=a'],
	] as const) {
		assert.equal(pageOf(typed, present).href, href);
	}
});

test('snippets use wss behind TLS, and quote for their language', () => {
	const codes = snippets(new URL(`https://example.com/it's/"x"/$(id)?a='b#there`), true).map(({ code }) => code);
	const [curl, javaScript, curlStream, eventSource, python, urlopen] = codes;
	assert.equal(curl, `curl -d hello 'https://example.com/it'\\''s/%22x%22/$(id)?a=%27b'`);
	assert.ok(javaScript?.startsWith(`const socket = new WebSocket("wss://example.com/it's/%22x%22/$(id)?a=%27b");`));
	assert.equal(curlStream, `curl -N -H 'Accept: text/event-stream' 'https://example.com/it'\\''s/%22x%22/$(id)?a=%27b'`);
	assert.ok(eventSource?.startsWith(`const source = new EventSource("https://example.com/it's/%22x%22/$(id)?a=%27b");`));
	assert.ok(python?.includes(`connect("wss://example.com/it's/%22x%22/$(id)?a=%27b")`));
	assert.ok(urlopen?.includes(`urlopen("https://example.com/it's/%22x%22/$(id)?a=%27b", data="hello".encode())`));
});
