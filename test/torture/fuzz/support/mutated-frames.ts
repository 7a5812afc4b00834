// Changes to frames, their order and their texts, in place.
import { opcodes } from '../../../support/opcodes.js';
import type { Random } from '../../../support/random.js';
import { chance, pick, randomBytes, times, upTo } from './choices.js';
import { targets } from './hostile-words.js';
import { mutateBytes } from './mutated-bytes.js';
import { type Frame, frameOf, type Part } from './wire.js';

export function mutateFrame(random: Random, frame: Frame, parts: Part[], at: number): void {
	const mask = () => randomBytes(random, 4);
	switch (random.below(11)) {
		case 0:
			frame.first ^= 0x80 >> random.below(4);
			break;
		case 1:
			frame.first = (frame.first & 0xf0) | random.below(16);
			break;
		case 2:
			frame.lengthBits = pick(random, [7, 16, 64]);
			break;
		case 3:
			frame.length = pick(random, [
				0,
				1,
				125,
				126,
				127,
				65_535,
				65_536,
				131_072,
				131_073,
				2 ** 31,
				2 ** 32 + 1,
				2 ** 53,
				frame.length + 1,
				Math.max(0, frame.length - 1),
			]);
			if (chance(random, 70)) frame.lengthBits = frame.length < 126 ? 7 : frame.length < 65_536 ? 16 : 64;
			break;
		case 4:
			frame.isMasked = false;
			if (chance(random, 50)) frame.mask = Buffer.alloc(0);
			break;
		case 5:
			frame.mask = randomBytes(random, pick(random, [0, 4, 4]));
			break;
		case 6:
			frame.payload = Buffer.concat([
				frame.payload,
				Buffer.from(pick(random, ['\xff', '\xc3', '\xed\xa0\x80', '\xf4\x90\x80\x80']), 'latin1'),
			]);
			frame.length = frame.payload.length;
			break;
		case 7:
			parts.splice(random.below(parts.length + 1), 0, ...parts.splice(at, 1));
			break;
		case 8:
			parts.splice(
				at,
				0,
				frameOf(pick(random, [opcodes.ping, opcodes.pong]), randomBytes(random, random.below(140)), mask(), chance(random, 80)),
			);
			break;
		case 9:
			parts.splice(at, 0, frameOf(opcodes.close, closePayload(random), mask()));
			break;
		default:
			parts.splice(at, 0, ...times(upTo(random, 20), () => ({ ...frame })));
	}
}

function closePayload(random: Random): Buffer {
	const code = Buffer.alloc(2);
	code.writeUInt16BE(pick(random, [0, 999, 1000, 1001, 1004, 1005, 1006, 1012, 1015, 2999, 3000, 4999, 5000, 65_535]));
	return pick(random, [Buffer.alloc(0), Buffer.from([3]), code, Buffer.concat([code, randomBytes(random, random.below(130))])]);
}

/** Changes the text of a frame, and leaves the frame whole. */
export function mutateText(random: Random, frame: Frame): void {
	const hostile = [
		...targets,
		'subscribe',
		'subscribe:',
		'add: /fuzz/0 /fuzz/1',
		'publish: /fuzz/0',
		'remove:',
		'\n',
		'\n\n',
		'channel: /fuzz/0\nfrom: server\n\n',
	];
	const added = Buffer.from(pick(random, hostile).slice(0, 4_000), 'latin1');
	const at = random.below(frame.payload.length + 1);
	frame.payload = chance(random, 50)
		? mutateBytes(random, frame.payload)
		: Buffer.concat([frame.payload.subarray(0, at), added, frame.payload.subarray(at)]);
	// Mutated so, most texts would be no UTF-8, at which the engine closes the connection.
	if (chance(random, 90)) frame.payload = Buffer.from(frame.payload.toString());
	frame.length = frame.payload.length;
	frame.lengthBits = frame.length < 126 ? 7 : frame.length < 65_536 ? 16 : 64;
}
