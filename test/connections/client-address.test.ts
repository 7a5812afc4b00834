import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientAddressBehind } from '#src/connections/client-address.js';

const peer = Uint8Array.of(127, 0, 0, 1).buffer;
const behind = clientAddressBehind([
	{ address: '127.0.0.0', prefixBits: 8, family: 'ipv4' },
	{ address: '10.0.0.0', prefixBits: 8, family: 'ipv4' },
	{ address: 'fd00::', prefixBits: 8, family: 'ipv6' },
]);

test('X-Forwarded-For is understood however an address is written in it', () => {
	const ipv6 = [
		'2001:db8::7',
		'[2001:db8::7]',
		'[2001:db8::7]:64828',
		'"[2001:db8::7]:64828"',
		'2001:DB8:0:0:0:0:0:7',
		'2001:db8::7%eth0',
	];
	const cases: [string, string[]][] = [
		[
			'203.0.113.7',
			[
				'203.0.113.7',
				'203.0.113.7:17085',
				'"203.0.113.7:17085"',
				'::ffff:203.0.113.7',
				'[::ffff:203.0.113.7]:80',
				'[::ffff:cb00:7107]',
			],
		],
		['2001:db8::7', ipv6],
	];
	for (const [address, written] of cases) {
		for (const entry of written) {
			assert.equal(behind(peer, entry), address, entry);
			assert.equal(behind(peer, `198.51.100.1, ${entry}, 10.0.0.1:80, [fd00::1]:443`), address, `${entry}, and proxies`);
			assert.equal(behind(peer, `198.51.100.1,, ${entry} ,, ,`), address, `${entry}, and empty elements`);
		}
	}
});

test('an entry that is no address stops the walk at the last address', () => {
	for (const entry of [
		'unknown',
		'_hidden',
		'_SEVKISEK',
		'client.example',
		'203.0.113.7:http',
		'203.0.113.300',
		'[2001:db8::7',
		'1.2.3.4:5:6',
		'[]',
		'""',
	]) {
		assert.equal(behind(peer, `203.0.113.7, ${entry}`), '127.0.0.1', entry);
		assert.equal(behind(peer, `203.0.113.7, ${entry}, 10.0.0.1`), '10.0.0.1', `${entry}, and a proxy`);
	}
});
