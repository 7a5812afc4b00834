// Changes to the requests, the chunks, the frames and the texts of a valid conversation, in place.
import type { Random } from '../../../support/random.js';
import { chance, pick, upTo } from './choices.js';
import type { Conversation, Maker } from './conversation.js';
import { mutateFrame, mutateText } from './mutated-frames.js';
import { mutateChunks, mutateRequest } from './mutated-requests.js';
import { isRequest, type Part } from './wire.js';

/** `records` are changed on their way: see tampered.ts. */
export type Level = 'records' | 'bytes' | 'frames' | 'requests' | 'chunks' | 'texts';

/** Changes a request or a frame, or the order of all. */
export function mutateParts(
	random: Random,
	conversation: Conversation,
	level: Exclude<Level, 'bytes' | 'records'>,
	maker: Maker,
	n: number,
): void {
	const stages = conversation.stages.filter((parts) =>
		parts.some((part) => isRequest(part) === (level === 'requests' || level === 'chunks')),
	);
	const parts = stages.length === 0 ? undefined : pick(random, stages);
	if (parts === undefined) return;
	if (chance(random, 8)) splice(random, parts, maker(random, n));
	const at = random.below(parts.length);
	const part = parts[at];
	if (part === undefined) return;
	if (!isRequest(part)) {
		if (level === 'texts') mutateText(random, part);
		else mutateFrame(random, part, parts, at);
	} else if (level === 'chunks') mutateChunks(random, part);
	else mutateRequest(random, part);
}

/** Puts parts of another conversation between these, or changes their order. */
function splice(random: Random, parts: Part[], other: Conversation): void {
	if (chance(random, 30)) parts.reverse();
	else parts.splice(random.below(parts.length + 1), 0, ...other.stages.flat().slice(0, upTo(random, 4)));
}
