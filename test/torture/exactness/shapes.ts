// The sizes of the messages: most are short, some are at the boundaries of frames.
import type { Random } from '../../support/random.js';
import { headBytes, type Shape } from './messages.js';

/** Sizes at which the length of a frame gets longer (RFC 6455, section 5.2), or the engine writes in another way; and our shortest. */
const boundaries = [1, 2, headBytes - 1, headBytes, 125, 126, 127, 16_383, 16_384, 65_535, 65_536];

export function randomShape(random: Random, bytesMax: number): Shape {
	const isBinary = random.below(4) === 0;
	if (random.below(50) === 0) return { bytes: boundaries[random.below(boundaries.length)] as number, isBinary };
	const halvings = random.below(Math.ceil(Math.log2(bytesMax)) + 1);
	return { bytes: 1 + (random.below(bytesMax) >> halvings), isBinary };
}
