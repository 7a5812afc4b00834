// Changes to bytes, whatever they are.
import type { Random } from '../../../support/random.js';
import { pick, randomBytes, times, upTo } from './choices.js';

const tokens = [
	...[
		'\r\n',
		'\r\n\r\n',
		'\n',
		'\r',
		'\0',
		' ',
		'\t',
		':',
		',',
		';',
		'"',
		'=',
		'%',
		'%00',
		'%ff',
		'?',
		'#',
		'/',
		'..',
		'//',
		'*',
	],
	...['0', '-1', '1', '+', 'ffffffffffffffff', '18446744073709551616', 'HTTP/1.1', 'Host: x\r\n', 'GET / HTTP/1.1\r\n\r\n'],
	...[
		'\xff',
		'\xfe',
		'\xc3',
		'\xc0\xaf',
		'\xed\xa0\x80',
		'\xf4\x90\x80\x80',
		'\xef\xbf\xbd',
		'\xef\xbb\xbf',
		'\x7f',
		'\x80',
		'\x81',
		'\x88',
		'\x89',
	],
];

/** Changes some bytes. */
export function mutateBytes(random: Random, bytes: Buffer): Buffer {
	const at = random.below(bytes.length + 1);
	const end = Math.min(bytes.length, at + upTo(random, pick(random, [1, 4, 64])));
	const [before, some, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
	switch (random.below(8)) {
		case 0:
			return Buffer.concat([before, some.map((byte) => byte ^ (1 << random.below(8))), after]);
		case 1:
			return Buffer.concat([before, Buffer.from(pick(random, tokens), 'latin1'), some, after]);
		case 2:
			return Buffer.concat([before, Buffer.from(pick(random, tokens), 'latin1'), after]);
		case 3:
			return Buffer.concat([before, after]);
		case 4:
			return Buffer.concat([before, ...times(upTo(random, 40), () => some), after]);
		case 5:
			return before;
		case 6:
			return Buffer.concat([after, some, before]);
		default:
			return Buffer.concat([before, randomBytes(random, upTo(random, 16)), after]);
	}
}
