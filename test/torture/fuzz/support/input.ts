// One input: the bytes that a client writes, in pieces, and how it leaves. A seed and a number give the same input again.
import type { Random } from '../../../support/random.js';
import { chance, choicesOf, pick, upTo } from './choices.js';
import type { Conversation, Maker, Promised } from './conversation.js';
import { mutateBytes } from './mutated-bytes.js';
import { type Level, mutateParts } from './mutations.js';
import { bytesOf } from './wire.js';

/** `answer` waits for the last answer; `stop reading` reads nothing until it has rested, and then goes. */
type Ending = 'answer' | 'end' | 'reset' | 'stop reading';

export type Input = {
	readonly n: number;
	readonly mutations: number;
	/** The pieces of each stage. */
	readonly stages: readonly (readonly Buffer[])[];
	readonly ending: Ending;
	readonly restMs: number;
	/** The messages that must be published if nothing is changed and the client waits. */
	readonly promised: readonly Promised[];
	readonly lastAnswer: string | undefined;
	/** For changes of the bytes on their way. */
	readonly random: Random;
};

export type Kind = {
	readonly maker: Maker;
	readonly levels: readonly Level[];
	/** Whether a service or a setting of the server decides what is published. */
	readonly promisesNothing?: boolean;
};

// The share of inputs that stay valid, and the share of the others that are changed in two places.
const validPercent = 15;
const twicePercent = 35;

export function inputOf(seed: number, n: number, { maker, levels, promisesNothing = false }: Kind): Input {
	const random = choicesOf(seed, n);
	const conversation = maker(random, n);
	const mutations = levels.length === 0 || chance(random, validPercent) ? 0 : chance(random, twicePercent) ? 2 : 1;
	const stages = mutated(random, conversation, mutations, levels, maker, n);
	const ending = pick<Ending>(random, ['answer', 'answer', 'answer', 'end', 'reset', 'stop reading']);
	const isKept = !promisesNothing && mutations === 0 && ending === 'answer';
	return {
		n,
		mutations,
		stages: stages.map((bytes) => inPieces(random, bytes)),
		ending,
		restMs: random.below(30),
		promised: isKept ? conversation.promised : [],
		lastAnswer: conversation.lastAnswer,
		random,
	};
}

function mutated(
	random: Random,
	conversation: Conversation,
	mutations: number,
	levels: readonly Level[],
	maker: Maker,
	n: number,
): Buffer[] {
	let byteMutations = 0;
	for (let i = 0; i < mutations; i++) {
		const level = pick(random, levels);
		if (level === 'bytes') byteMutations++;
		else if (level !== 'records') mutateParts(random, conversation, level, maker, n);
	}
	const stages: Buffer[] = conversation.stages.map((parts) => Buffer.concat(parts.map(bytesOf)));
	for (let i = 0; i < byteMutations; i++) {
		const at = random.below(stages.length);
		stages[at] = mutateBytes(random, stages[at] ?? Buffer.alloc(0));
	}
	return stages;
}

function inPieces(random: Random, bytes: Buffer): Buffer[] {
	const count = pick(random, [1, 1, 2, 3, 8]);
	const pieces: Buffer[] = [];
	for (let at = 0; at < bytes.length; ) {
		const length = pieces.length === count - 1 ? bytes.length : upTo(random, pick(random, [3, 100, 2_000]));
		pieces.push(bytes.subarray(at, at + length));
		at += length;
	}
	return pieces;
}

/** For a failure: the bytes that were written, as a JavaScript text of one character for each byte. */
export function described({ n, mutations, stages, ending }: Input): string {
	const pieces = stages.map((stage) =>
		stage.map((piece) => JSON.stringify(piece.toString('latin1').slice(0, 8_000))).join(' + '),
	);
	return `input ${n} (mutations: ${mutations}; then: ${ending}):\n${pieces.join('\nand after an answer:\n')}`;
}
